"""``check``: tests the setup and changes nothing."""

from __future__ import annotations

import json

from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeBridge
from tests.support.command import (
    GivenSettings,
    run_command,
)
from tests.support.job_writer import JobWriter
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client
from tests.support.servers.versions import kafka_version


def document_ids(client: Client, name: str) -> list[object]:
    return [
        document["_id"]
        for document in client["job_bridge"]["job_bridge_checkpoints"].find({"_id": name})
    ]


def test_check_says_what_is_well_and_changes_nothing(
    settings: GivenSettings, jobs: JobWriter, client: Client, database: str, topic: str
) -> None:
    assert jobs.collection.name == "jobs"
    bootstrap = settings["kafka.bootstrap_servers"]
    ended = run_command("check", settings=settings)

    assert ended.code == 0 and ended.err == ""
    lines = ended.out.splitlines()
    (warning,) = [line for line in lines if not line.startswith("ok ")]
    assert warning.startswith("warning  topic") and "has a single replica" in warning
    broker = ".".join(kafka_version().split(".")[:2])
    for words in (
        "replica set rs0/",
        f", version {client.server_info()['version']}",
        f"{bootstrap}, version {broker}",
        f"{database}.jobs exists",
        f"may read the change stream of {database}.jobs",
        "may look up job ids",
        "clock",
        "can be kept in job_bridge.job_bridge_checkpoints",
        "covers ",
        "the first start uses start.from = now",
        "kafka",
        f"{topic}, 3 partition(s), 1 replica(s)",
        "max.message.bytes 1048588",
        "min.insync.replicas 1",
        "keeps messages for 168 hours",
        f"topic {topic}-dlq, 1 partition(s)",
    ):
        assert sum(words in line for line in lines) >= 1, words
    assert document_ids(client, settings["checkpoint.name"]) == []


def test_check_tells_warnings_from_failures(
    settings: GivenSettings, kafka: Kafka, topic: str
) -> None:
    kafka.alter_topic(topic, min_insync_replicas=2, retention_ms=3_600_000)
    kafka.delete_topic(f"{topic}-dlq")

    ended = run_command("check", "--json", settings=settings)

    findings = json.loads(ended.out)
    assert all(
        set(finding) == {"level", "subject", "text", "todo", "exit_code"} for finding in findings
    )
    failures = [finding for finding in findings if finding["level"] == "failure"]
    warnings = [finding for finding in findings if finding["level"] == "warning"]
    assert [failure["text"] for failure in failures] == [
        "min.insync.replicas 2 with 1 replica(s): no write can succeed"
    ]
    assert ended.code == failures[0]["exit_code"] == 75
    assert {warning["subject"] for warning in warnings} == {"collection", "topic", "dead letters"}
    assert "when the collection exists: it needs an index on _update_time" in ended.out
    assert all(finding["todo"] for finding in failures + warnings)


def test_check_looks_at_the_stored_position(settings: GivenSettings, start: MakeBridge) -> None:
    with start() as bridge:
        bridge.wait_ready()
        during = run_command("check", settings=settings)
        assert bridge.stop() == 0
    after = run_command("check", settings=settings)

    for ended in (during, after):
        assert ended.code == 0
        assert "before the newest write" in ended.out and "the stream opens there" in ended.out


def test_check_looks_whether_http_can_be_served(settings: GivenSettings, start: MakeBridge) -> None:
    port = str(free_port())
    with start(http__port=port) as bridge:
        bridge.wait_ready()
        taken = run_command("check", settings={**settings, "http.port": port})
        elsewhere = run_command("check", settings={**settings, "http.host": "192.0.2.1"})

    assert (
        taken.code == 0
        and f"127.0.0.1:{port} is in use -> nothing, if the running bridge uses it" in taken.out
    )
    assert (
        elsewhere.code == 78
        and "Cannot serve HTTP on 192.0.2.1:0: Cannot assign requested address" in elsewhere.out
    )


def test_start_from_is_ignored_after_the_first_start(
    settings: GivenSettings, start: MakeBridge
) -> None:
    """``check`` and the log say so."""
    with start() as bridge:
        bridge.wait_ready()
        assert bridge.stop() == 0

    check = run_command("check", "--start-from", "history", settings=settings)
    with start(start__from="history") as bridge:
        bridge.wait_ready()
        log = " ".join(bridge.messages())
        assert bridge.stop() == 0

    assert (
        check.code == 0 and "start.from = history is not used: there is a checkpoint" in check.out
    )
    assert "start.from = history is not used: there is a checkpoint already" in log


def test_check_names_job_ids_of_several_documents(settings: GivenSettings, jobs: JobWriter) -> None:
    jobs.add(id="alone")
    for _ in range(2):
        jobs.add(id="shared")

    ended = run_command("check", settings=settings)

    warnings = [line for line in ended.out.splitlines() if line.startswith("warning")]
    assert ended.code == 0
    assert ["(shared)" in line for line in warnings if "several documents" in line] == [True]
