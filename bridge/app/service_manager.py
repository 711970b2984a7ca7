"""Reports to systemd: ready, state, life signs, stop.

The protocol is that of sd_notify(3): a datagram of ``NAME=VALUE`` lines to the socket that
``NOTIFY_SOCKET`` names. Without this variable nothing is sent.
"""

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from bridge.app.lifecycle import State
from bridge.clock import Clock
from bridge.errors import one_line

#: A change is sent this soon.
_LOOK_SECONDS = 0.25
#: sd_watchdog_enabled(3) advises two; a loaded host has more room with three.
_SIGNS_PER_TIMEOUT = 3
_MICROSECONDS = 1_000_000


class Observation(Protocol):
    """A moment of the bridge."""

    @property
    def state(self) -> str: ...

    @property
    def reasons(self) -> tuple[str, ...]: ...

    @property
    def alive(self) -> bool: ...


class Status(Protocol):
    """Takes snapshots, without waiting for a server."""

    def snapshot(self) -> Observation: ...


class Stopping(Protocol):
    """A bridge that may have been asked to stop."""

    @property
    def stops(self) -> bool: ...


class ServiceManager:
    """Observes a bridge from entering to leaving, on a thread of its own.

    - ``READY=1`` as soon as the bridge runs, recovers, stands by, or waits for a server that it
      retries: then the start has ended, and only a stop or an error ends the process.
    - ``WATCHDOG=1`` while the main thread works, if the unit has ``WatchdogSec=``.
    """

    def __init__(
        self,
        bridge: Stopping,
        status: Status,
        clock: Clock,
        *,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._bridge = bridge
        self._status = status
        self._clock = clock
        self._address = _address(environment)
        self._interval = _interval(environment)
        #: The latest lines by their name, which are not sent again.
        self._latest: dict[str, str] = {}
        self._next_sign = clock.monotonic()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="service-manager", daemon=True)

    def __enter__(self) -> Self:
        if self._address:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        if self._address:
            self._thread.join()
            self._send_change("STOPPING", "1")

    def look(self) -> None:
        """Send what has changed, and the life sign that is due."""
        seen, now = self._status.snapshot(), self._clock.monotonic()
        if seen.state != State.STARTING and not self._bridge.stops:
            self._send_change("READY", "1")
        if self._bridge.stops:
            self._send_change("STOPPING", "1")
        self._send_change("STATUS", _status(seen))
        if self._interval is not None and seen.alive and now >= self._next_sign:
            self._next_sign = now + self._interval
            self._send("WATCHDOG=1")

    def _run(self) -> None:
        while not self._left.wait(_LOOK_SECONDS):
            self.look()

    def _send_change(self, name: str, value: str) -> None:
        if self._latest.get(name) != value:
            self._latest[name] = value
            self._send(f"{name}={value}")

    def _send(self, line: str) -> None:
        # A service manager that does not read is no reason to end the bridge.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(line.encode(), self._address)


def _status(seen: Observation) -> str:
    text = "; ".join(seen.reasons) or "ready"
    # Most reasons start with the state already.
    return one_line(text if text.startswith(seen.state) else f"{seen.state}: {text}")


def _address(environment: Mapping[str, str]) -> str:
    """Return the address of the socket; a leading @ is an abstract one."""
    address = environment.get("NOTIFY_SOCKET", "")
    return f"\0{address[1:]}" if address.startswith("@") else address


def _interval(environment: Mapping[str, str]) -> float | None:
    """Return the seconds between two life signs; None if this process needs none."""
    timeout = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not timeout.isdecimal() or not int(timeout):
        return None
    return int(timeout) / _MICROSECONDS / _SIGNS_PER_TIMEOUT
