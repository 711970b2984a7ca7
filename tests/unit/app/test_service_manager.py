"""The messages to systemd, received on a socket like its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.app.lifecycle import State
from bridge.app.service_manager import ServiceManager
from tests.support.fakes import FakeClock

#: Three seconds, so a life sign each second.
WATCHDOG = {"WATCHDOG_USEC": "3000000"}


@dataclass
class ManagedBridge:
    """A bridge, its status, and a moment of it."""

    state: State = State.STARTING
    reasons: tuple[str, ...] = ("starting",)
    alive: bool = True
    stops: bool = False

    def snapshot(self) -> ManagedBridge:
        return self


class Systemd:
    """Receives the messages as the service manager does."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": address}

    def received(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


class ManagedScenario:
    def __init__(self, environment: dict[str, str]) -> None:
        self.bridge, self.clock = ManagedBridge(), FakeClock()
        self.manager = ServiceManager(self.bridge, self.bridge, self.clock, environment=environment)

    def pass_seconds(self, seconds: float) -> None:
        """Look four times a second."""
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
            self.manager.look()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    path = f"{tmp_path}/notify"
    systemd = Systemd(path if request.param == "path" else f"@{path}")
    yield systemd
    systemd.close()


@pytest.mark.parametrize(
    "state", [State.RUNNING, State.RECOVERING, State.STANDBY, State.WAITING], ids=str
)
def test_a_start_is_ready_when_it_has_ended(systemd: Systemd, state: State) -> None:
    scenario = ManagedScenario(systemd.environment)
    scenario.pass_seconds(60)
    assert systemd.received() == ["STATUS=starting"]

    scenario.bridge.state, scenario.bridge.reasons = state, ()
    scenario.pass_seconds(60)

    assert systemd.received() == ["READY=1", f"STATUS={state}: ready"]


def test_the_status_names_state_and_reasons(systemd: Systemd) -> None:
    scenario = ManagedScenario(systemd.environment)
    scenario.bridge.state = State.WAITING
    scenario.bridge.reasons = ("MongoDB does not answer\n", "x")
    scenario.pass_seconds(1)

    assert "STATUS=waiting: MongoDB does not answer ; x" in systemd.received()


def test_a_repeated_status_is_sent_again(systemd: Systemd) -> None:
    scenario = ManagedScenario(systemd.environment)
    for state in (State.STANDBY, State.STARTING, State.STANDBY):
        scenario.bridge.state, scenario.bridge.reasons = state, (str(state),)
        scenario.pass_seconds(1)

    assert systemd.received() == [
        "READY=1",
        "STATUS=standby",
        "STATUS=starting",
        "STATUS=standby",
    ]


def test_life_signs_stop_with_the_main_thread(systemd: Systemd) -> None:
    scenario = ManagedScenario({**systemd.environment, **WATCHDOG})
    scenario.pass_seconds(10)
    assert systemd.received().count("WATCHDOG=1") == 10

    scenario.bridge.alive = False
    scenario.pass_seconds(10)
    assert "WATCHDOG=1" not in systemd.received()

    scenario.bridge.alive = True
    scenario.pass_seconds(2)
    assert systemd.received().count("WATCHDOG=1") == 2


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {**WATCHDOG, "WATCHDOG_PID": "1"},
    ],
    ids=["none", "zero", "text", "other process"],
)
def test_no_life_sign_without_a_watchdog(systemd: Systemd, environment: dict[str, str]) -> None:
    scenario = ManagedScenario({**systemd.environment, **environment})
    scenario.pass_seconds(5)

    assert "WATCHDOG=1" not in systemd.received()


def test_this_process_may_be_named(systemd: Systemd) -> None:
    named = {**WATCHDOG, "WATCHDOG_PID": str(os.getpid())}
    scenario = ManagedScenario({**systemd.environment, **named})
    scenario.pass_seconds(1)

    assert "WATCHDOG=1" in systemd.received()


def test_a_stop_is_reported_once(systemd: Systemd) -> None:
    """A stop during the start does not end the start as a success."""
    scenario = ManagedScenario(systemd.environment)
    with scenario.manager:
        scenario.bridge.stops = True
        scenario.bridge.state = State.STOPPED
        scenario.pass_seconds(5)

    received = systemd.received()
    assert received.count("STOPPING=1") == 1 and "READY=1" not in received


def test_a_manager_that_is_gone_changes_nothing(systemd: Systemd) -> None:
    scenario = ManagedScenario(systemd.environment)
    systemd.close()

    with scenario.manager:
        scenario.bridge.state = State.RUNNING
        scenario.pass_seconds(1)


def test_nothing_is_sent_without_a_socket() -> None:
    with ManagedScenario({}).manager:
        pass
