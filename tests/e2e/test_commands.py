"""The commands beside ``run``: help, version, completion, check, status, tail and topics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import click
import pytest
from click.shell_completion import get_completion_class
from pydantic import SecretStr

from bridge import __version__
from bridge.cli import main
from bridge.demo.servers.process import poll
from bridge.observability.build import git_commit
from bridge.settings.load import setting_names
from bridge.settings.names import option
from tests.support.command import (
    ROOT,
    SECRET,
    GivenSettings,
    environment,
    run_cold_command,
    run_command,
)
from tests.support.job_writer import JobWriter
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command by its words; groups are no commands of their own."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def test_the_version_is_printed() -> None:
    ended = run_command("--version", settings={})

    commit = f" (commit {git_commit()})" if git_commit() else ""
    assert (ended.code, ended.out) == (0, f"job-bridge, version {__version__}{commit}\n")


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_each_help_has_an_example_and_no_secret(words: tuple[str, ...]) -> None:
    ended = run_cold_command(
        *words, "--help", settings={"kafka.sasl_password": SECRET, "mongo.password": SECRET}
    )

    assert ended.code == 0
    example = ended.out.partition("Example:")[2].strip().splitlines()[0]
    assert example.startswith(f"job-bridge {' '.join(words)}")
    secrets = [
        name
        for name, field in setting_names().items()
        if field.annotation is SecretStr and "password" in name
    ]
    assert len(secrets) == 4 and not any(option(name) in ended.out for name in secrets)


def test_the_main_help_names_commands_and_exit_codes() -> None:
    ended = run_command("--help", settings={})

    named = ended.out.partition("Commands:")[2]
    assert {line.split()[0] for line in named.strip().splitlines()} == {
        words[0] for words in commands()
    }
    assert all(f" {code} " in ended.out for code in (0, 64, 70, 75, 76, 77, 78, 80, 82, 83))
    assert run_command("-h", settings={}).out == ended.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_options(shell: str) -> None:
    completion_class = get_completion_class(shell)
    assert completion_class is not None
    completion = completion_class(main, {}, "job-bridge", "_JOB_BRIDGE_COMPLETE")

    assert "_JOB_BRIDGE_COMPLETE" in completion.source()
    assert {item.value for item in completion.get_completions([], "to")} == {"token", "topics"}
    assert {item.value for item in completion.get_completions(["token"], "")} == {
        "show",
        "set",
        "list",
        "clear",
        "move",
        "remove",
    }
    assert "--kafka-topic" in {
        item.value for item in completion.get_completions(["run"], "--kafka")
    }


def test_the_program_prints_its_completion() -> None:
    program = (
        "import sys; sys.argv[0] = 'job-bridge'; "
        "from bridge.cli import main; main(prog_name='job-bridge')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment({"_JOB_BRIDGE_COMPLETE": "zsh_source"}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "#compdef job-bridge" in done.stdout and done.stderr == ""
    assert done.returncode == 0


def test_tail_prints_what_happens_and_touches_nothing(
    settings: GivenSettings, jobs: JobWriter, client: Client, database: str
) -> None:
    # It uses neither Kafka nor the checkpoint: both are missing here.
    given = {**settings, "kafka.bootstrap_servers": "127.0.0.1:1", "checkpoint.database": database}
    line = [sys.executable, "-m", "bridge", "tail", "--count", "4"]
    with subprocess.Popen(
        line, env=environment(given), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        # It says nothing before the first event: write until it has seen enough.
        ids: list[str] = []

        def ended() -> bool:
            ids.append(jobs.add())
            return process.poll() is not None

        poll(ended, "four transitions printed", 120)
        printed = [json.loads(line) for line in process.stdout]

    assert process.returncode == 0
    assert len(printed) == 4 and all(message["state"] == "created" for message in printed)
    begun = ids.index(printed[0]["job_id"])
    assert [message["job_id"] for message in printed] == ids[begun : begun + 4]
    assert client[database].list_collection_names() == ["jobs"]


def test_tail_begins_at_a_time(settings: GivenSettings, jobs: JobWriter) -> None:
    job_id = jobs.add()
    jobs.move(job_id, "complete")
    jobs.add(id=5)

    first = jobs.collection.find_one({}, {"_id": 1})
    assert first is not None

    since = first["_id"].generation_time.isoformat()
    ended = run_command("tail", "--since", since, "--count", "3", settings=settings)

    lines = ended.out.splitlines()
    assert ended.code == 0
    assert [json.loads(line)["state"] for line in lines[:2]] == ["created", "complete"]
    assert lines[2].startswith("cannot be sent: the job id is int, not text")

    as_json = run_command("tail", "--since", since, "--count", "3", "--json", settings=settings)
    documents = [json.loads(line) for line in as_json.out.splitlines()]
    assert documents[2]["error_dlq"].startswith("the job id is int, not text")
    assert documents[2]["job_id"] == "5"


@pytest.mark.parametrize("since", ["yesterday", "2026-03-02T18:00:00"])
def test_tail_refuses_what_is_no_time(since: str, settings: GivenSettings) -> None:
    ended = run_command("tail", "--since", since, settings=settings)

    assert ended.code == 64
    assert f"--since: '{since}'" in ended.error


def test_a_refused_topic_is_not_a_refused_message(settings: GivenSettings, kafka: Kafka) -> None:
    ended = run_command(
        "topics",
        "create",
        "--partitions",
        "99999",
        settings={**settings, "kafka.topic": "far-too-many"},
    )

    assert ended.code == 78
    assert (
        "Kafka refuses to create the topic far-too-many: " in ended.error
        and "other values for --partitions" in ended.error
    )
    assert "message" not in ended.error.replace("max.message.bytes", "")


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_if_one_topic_is_refused_none_is_created(
    driver: str, settings: GivenSettings, kafka: Kafka, topic: str
) -> None:
    kafka.create_topic(f"{topic}.{driver}")
    name = f"{topic}_{driver}"
    given = {**settings, "kafka.topic": name, "kafka.driver": driver, "jobs.profile": "ee2"}

    for options in (["--dry-run"], []):
        ended = run_command("topics", "create", *options, settings=given)
        assert (ended.code, ended.out) == (78, "")
        assert f"Topic '{name}' collides with existing" in ended.error
        assert "Choose another kafka.topic" in ended.error and "CreateTopics" not in ended.error
    with kafka.admin() as admin:
        assert not {name, f"{name}-dlq"} & set(admin.list_topics())


def test_a_command_does_not_promise_to_retry(settings: GivenSettings) -> None:
    """Only a running bridge retries by itself; the commands run at once, each waits for 10 s."""
    unreachable = {**settings, "kafka.bootstrap_servers": "127.0.0.1:1"}
    commands = (("verify",), ("topics", "create"), ("replay", "--since", "1h"))
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(run_command, *words, settings=unreachable) for words in commands]

    for ended in (command.result() for command in running):
        assert ended.code == 75
        assert "Completed work stays done; nothing else was changed" in ended.error
        assert ", then try again. Exit code 75: " in ended.error
        assert "by itself" not in ended.error and "sent again" not in ended.error


def test_a_time_that_has_not_been_is_refused(settings: GivenSettings, jobs: JobWriter) -> None:
    future = "2099-01-01T00:00:00+00:00"
    tail = run_command("tail", "--since", future, settings=settings)
    check = run_command("check", "--start-from", future, settings=settings)

    assert tail.code == 64 and f"--since: {future} is in the future" in tail.error
    assert check.code == 78 and f"start.from = {future} is in the future" in check.out


def test_topics_are_made_once(settings: GivenSettings, kafka: Kafka, topic: str) -> None:
    given = {**settings, "kafka.topic": f"{topic}-new"}
    first = run_command("topics", "create", "--partitions", "4", settings=given)
    again = run_command("topics", "create", "--partitions", "9", settings=given)

    assert first.code == again.code == 0
    assert first.out.splitlines() == [
        f"{topic}-new: created with 4 partition(s)",
        f"{topic}-new-dlq: created with 1 partition(s)",
    ]
    assert again.out.splitlines() == [
        f"{topic}-new: already exists with 4 partition(s), not 9; it was not changed",
        f"{topic}-new-dlq: already exists",
    ]
    with kafka.admin() as admin:
        there = {
            description["name"]: len(description["partitions"])
            for description in admin.describe_topics(None)
        }
    assert there[f"{topic}-new"] == 4 and there[f"{topic}-new-dlq"] == 1


def test_the_kafka_store_gets_its_topic(settings: GivenSettings, topic: str) -> None:
    given = {**settings, "checkpoint.store": "kafka"}

    first = run_command("topics", "create", settings=given)
    again = run_command("topics", "create", settings=given)

    state = f"{topic}-bridge-state"
    assert first.code == again.code == 0
    assert first.out.splitlines()[-1] == (
        f"{state}: created with 1 partition(s), cleanup.policy compact"
    )
    assert again.out.splitlines()[-1] == f"{state}: already exists"


def test_more_replicas_than_brokers_is_a_configuration_error(
    settings: GivenSettings, topic: str
) -> None:
    ended = run_command(
        "topics", "create", "--replicas", "3", settings={**settings, "kafka.topic": f"{topic}-new"}
    )

    assert ended.code == 78
    assert "replication" in ended.error.lower() and "--replicas" in ended.error
