"""A canary in every secret setting: no command, failure, page or list of processes shows it.

No server runs: each command fails to connect. Refused passwords are in test_bad_mongodb.py and
test_bad_kafka.py, which check the output of every command for their secret.
"""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from bridge.cli import COMMANDS
from bridge.demo.servers.process import free_port
from tests.support.bridge_process import COMMAND, BridgeProcess
from tests.support.canaries import NAMES, USER, canaries, canary, in_files, shown_in
from tests.support.command import EndedCommand, run_command
from tests.support.http_crowd import ask

#: Every command that reads settings, except 'run', with the arguments that it needs.
ARGUMENTS = {
    "init": [["init", "--dry-run"], ["init", "--dry-run", "--json"]],
    "check": [["check"], ["check", "--json"]],
    "status": [["status"], ["status", "--group"]],
    "tail": [["tail", "--count", "1"], ["tail", "--acknowledged"]],
    "verify": [["verify", "--since", "1h"]],
    "replay": [["replay", "--since", "1h"]],
    "notify": [["notify", "job-1"]],
    "sweep": [["sweep", "--once"]],
    "dead-letters": [["dead-letters", "list"]],
    "token": [
        ["token", "show"],
        ["token", "list"],
        ["token", "set", "now", "--yes"],
        ["token", "remove", "name", "--yes"],
    ],
    "topics": [["topics", "create"]],
}
#: They need no server, so they succeed.
OFFLINE = [["show"], ["show", "--json"], ["validate"], ["validate", "--strict", "--json"]]
PAGES = ["/", "/history.json", "/livez", "/readyz", "/status.json", "/metrics", "/else"]
TAGS = {"delivery.mode": "background-jobs", "sweep.job_tag": "unsent"}


def assert_shown_nowhere(ended: EndedCommand) -> None:
    assert ended.code not in (0, 70), ended.err
    assert shown_in(ended.out + ended.err) == [], ended.out + ended.err


def test_canaries_are_recognised() -> None:
    """Encoded, cut or quoted: otherwise the tests below would prove nothing."""
    settings = canaries()
    pair = b64encode(f"{USER}:{canary('http.password')}".encode()).decode()

    assert len(NAMES) >= 5
    assert all(shown_in(settings[name]) == [name] for name in NAMES)
    assert all(shown_in(json.dumps(settings[name])) == [name] for name in NAMES)
    assert shown_in(f"Basic {pair}") == ["http.password"]


def test_every_command_has_its_arguments() -> None:
    """``demo`` reads no settings."""
    assert {*COMMANDS} - {"run", "demo", "config"} == ARGUMENTS.keys()


@pytest.mark.parametrize(
    "arguments", [arguments for forms in ARGUMENTS.values() for arguments in forms], ids=" ".join
)
def test_no_command_shows_a_secret(arguments: list[str]) -> None:
    """Neither does its failure, with the log at its lowest level."""
    tags = TAGS if arguments[0] == "sweep" else {}
    settings = canaries() | tags | {"http.port": str(free_port())}

    assert_shown_nowhere(run_command(*arguments, settings=settings))


@pytest.mark.parametrize("arguments", OFFLINE, ids=" ".join)
def test_settings_are_shown_without_secrets(arguments: list[str]) -> None:
    ended = run_command("config", *arguments, settings=canaries())

    assert ended.code != 70 and ended.out
    assert shown_in(ended.out + ended.err) == [], ended.out + ended.err


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["{0}\0", "'{0}'", "{0}\n{0}", "mongodb://a:{0}@b:c/?d=e&f"])
def test_no_refused_value_is_shown(name: str, form: str, tmp_path: Path) -> None:
    """A secret that is not usable, in a file and in the wrong place of the settings file."""
    config = tmp_path / "settings.toml"
    section, _, key = name.partition(".")
    value = form.format(canary(name))
    config.write_text(f"[{section}]\n{key} = {json.dumps(value)}\nmisspelt = {json.dumps(value)}\n")

    assert_shown_nowhere(run_command("check", "--config", str(config), settings={}))


@pytest.mark.parametrize("arguments", [["check"], ["token", "show"]], ids=" ".join)
def test_a_password_as_uri_is_not_shown(arguments: list[str]) -> None:
    """PyMongo takes a word for a host, which the cause of a failed connection names."""
    ended = run_command(*arguments, settings={"mongo.uri": "fEd3"})

    assert ended.code == 78 and "JOB_BRIDGE_MONGO_URI: not a" in ended.err
    assert "fed3" not in (ended.out + ended.err).lower()


@pytest.mark.parametrize("setting", ["ssl_certfile", "ssl_cafile"])
def test_no_bad_file_shows_a_secret(setting: str, tmp_path: Path) -> None:
    """The password of a key is used before the first connection."""
    text = tmp_path / "text"
    text.write_text("not PEM")

    ended = run_command("check", settings=canaries() | {f"kafka.{setting}": str(text)})

    assert_shown_nowhere(ended)
    assert f"kafka.{setting}" in ended.out


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_a_running_bridge_shows_no_secret(driver: str, tmp_path: Path) -> None:
    """Not in a page, in the log, or in the list of processes; the reader has the password."""
    given = canaries() | {"kafka.driver": driver, "http.details": "on"}
    if driver == "kafka-python":  # It refuses kafka.options.
        given["kafka.options"] = "{}"
    settings = in_files(given, tmp_path)
    pair = b64encode(f"{USER}:{canary('http.password')}".encode()).decode()
    port = free_port()
    given = settings | {"http.port": str(port)}
    # A forked process shows the command line of another one.
    bridge = BridgeProcess(given, tmp_path / "bridge.log", COMMAND)
    with bridge:
        bridge.wait_for_line("MongoDB refuses connections")
        for path in PAGES:
            for credentials in ("", f"Authorization: Basic {pair}\r\n"):
                head = f"GET {path} HTTP/1.1\r\n{credentials}\r\n"
                answer = ask(port, head.encode())
                assert shown_in(answer.body + repr(answer.headers).encode()) == [], path
                assert (answer.code == 401) == (not credentials and path != "/livez")
        processes = [bridge.pid, *_children(bridge.pid)]
        lines = b" ".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes)
        assert b"bridge" in lines and shown_in(lines) == []
        assert bridge.stop() == 0

    assert shown_in(bridge.output()) == []


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
