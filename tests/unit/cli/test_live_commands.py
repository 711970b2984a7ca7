"""``status --watch`` and ``tail --acknowledged``: they follow a bridge until a signal."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from bridge.cli.status import _owner
from bridge.demo.servers.process import free_port
from tests.support.command import PROGRAM, ROOT, environment, run_command
from tests.support.factories import delivery, transition
from tests.support.observed_bridge import ObservedBridge
from tests.support.page_states import PicturedBridge


@pytest.fixture
def bridge() -> PicturedBridge:
    bridge = PicturedBridge()
    bridge.warn("Kafka is slow. Nothing is lost", 5.0, details="job_id=7")
    return bridge


@pytest.fixture
def observed(bridge: PicturedBridge) -> ObservedBridge:
    return bridge.bridge


@pytest.fixture
def port(bridge: PicturedBridge) -> Iterator[str]:
    with bridge.served() as server:
        yield str(server.port)


@contextmanager
def following(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*PROGRAM, *arguments], env=environment({}), cwd=ROOT, text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: subprocess.Popen[str], words: str) -> str:
    """Return the output up to the first line with ``words``."""
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            return text
    raise AssertionError(f"the output ended without {words!r}:\n{text}")


def test_watch_prints_each_state(port: str, observed: ObservedBridge) -> None:
    with following("status", "--watch", "--http-port", port) as process:
        first = lines_until(process, "Kafka is slow")
        observed.state = "draining"
        lines_until(process, ": draining")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0

    assert ": running, ready" in first
    assert first.rstrip().endswith("warning: Kafka is slow. Nothing is lost job_id=7")


def test_watch_ends_with_the_last_code(port: str, observed: ObservedBridge) -> None:
    observed.looping = False
    observed.reason = "MongoDB is away"
    with following("status", "--watch", "--json", "--http-port", port) as process:
        document = json.loads(lines_until(process, "MongoDB is away"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 75

    assert document["reasons"] == ["MongoDB is away"]
    (warning,) = document["warnings"]
    assert datetime.fromisoformat(warning["first"]) <= datetime.fromisoformat(warning["last"])


def test_tail_prints_acknowledged_transitions(port: str, observed: ObservedBridge) -> None:
    def settle(number: int) -> None:
        settled = delivery(number)
        settled.item = transition(number)
        observed.recent.add([settled])

    settle(1)
    with following("tail", "--acknowledged", "--http-port", port) as process:
        first = json.loads(lines_until(process, transition(1).trans_id))
        settle(2)
        lines_until(process, transition(2).trans_id)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0

    assert first["event"] == "transition"
    assert (first["job_id"], first["state"]) == (transition(1).job_id, transition(1).state)


def test_tail_ends_after_a_count(port: str, observed: ObservedBridge) -> None:
    for number in range(3):
        settled = delivery(number)
        settled.item = transition(number)
        observed.recent.add([settled])

    ended = run_command("tail", "--acknowledged", "--count", "2", "--http-port", port, settings={})

    assert (ended.code, len(ended.out.splitlines())) == (0, 2)


@pytest.mark.parametrize("command", [("status", "--watch"), ("tail", "--acknowledged")])
def test_no_bridge_is_one_line(command: tuple[str, ...]) -> None:
    port = str(free_port())

    ended = run_command(*command, "--http-port", port, settings={})

    assert ended.code == 75
    assert f"No bridge answers at http://127.0.0.1:{port}/" in ended.error
    as_json = run_command(*command, "--json", "--http-port", port, settings={})
    assert json.loads(as_json.err)["exit_code"] == 75


@pytest.mark.parametrize(
    "command", [("status", "--watch", "--group"), ("tail", "--acknowledged", "--since", "1m")]
)
def test_options_that_exclude_each_other(command: tuple[str, ...]) -> None:
    ended = run_command(*command, settings={})

    assert ended.code == 64
    assert "give only one" in ended.error


def test_a_hidden_owner_is_not_unknown() -> None:
    ownership = {"owner": None, "since": None, "standbys": None, "is_us": False}
    assert _owner(ownership, details=False) == "not shown"
    assert _owner(ownership, details=True) == "not known"
