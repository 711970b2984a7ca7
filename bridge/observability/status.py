"""Takes snapshots of a bridge."""

from collections.abc import Mapping
from typing import Any, Protocol

from bridge import __version__
from bridge.clock import Clock
from bridge.model.checkpoint import Checkpoint
from bridge.model.health import silent_loop
from bridge.model.policy import stalled
from bridge.model.position import Position
from bridge.model.window import Window
from bridge.observability.counters import Counters
from bridge.observability.recent import RecentDeliveries
from bridge.observability.snapshot import (
    HealthState,
    InFlightState,
    RecoveryState,
    Snapshot,
    VerificationState,
    Verified,
)

#: A main thread that shows nothing for this long hangs: no single call of it may take longer.
HANG_SECONDS = 90.0


class Recovery(Protocol):
    """How far a recovery has come; ``str()`` says it in words."""

    total: int | None
    done: int

    @property
    def eta_seconds(self) -> float | None: ...

    def document(self) -> dict[str, Any]: ...


class Named(Protocol):
    """A checkpoint store, as the status reads it."""

    name: str


class Observed(Protocol):
    """A bridge as the status reads it; reading is safe on any thread and never waits."""

    @property
    def store(self) -> Named: ...

    @property
    def state(self) -> str: ...

    @property
    def is_standby(self) -> bool: ...

    @property
    def looping(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    @property
    def paused_since(self) -> float | None: ...

    @property
    def streams(self) -> bool: ...

    @property
    def last_beat(self) -> float: ...

    @property
    def start(self) -> Position | None: ...

    @property
    def reached(self) -> Position | None: ...

    @property
    def position(self) -> Position | None: ...

    @property
    def stored(self) -> Checkpoint | None: ...

    @property
    def in_flight(self) -> Window | None: ...

    @property
    def recovery(self) -> Recovery | None: ...

    @property
    def counters(self) -> Counters: ...

    @property
    def recent(self) -> RecentDeliveries: ...

    def complaint(self) -> str: ...


class Health(Protocol):
    """The bridge's own questions to MongoDB and Kafka."""

    def state(self) -> HealthState:
        """Return the latest answers, without waiting."""


class LatestVerification:
    """The running verification, and the last one. Written by one thread, read by any.

    Attributes:
        result: The result of the last verification; None before the first.
    """

    def __init__(self) -> None:
        self.result: Verified | None = None
        self._began: float | None = None
        #: How long the last one took.
        self._took: float | None = None

    def begin(self, moment: float) -> None:
        """Note that a verification begins, in monotonic seconds."""
        self._began = moment

    def complete(self, result: Verified, moment: float) -> None:
        """Note the result of the running verification, in monotonic seconds."""
        self.result = result
        self._took = None if self._began is None else moment - self._began

    def end(self) -> None:
        """Note that the verification has ended, with a result or without."""
        self._began = None

    def running(self, moment: float) -> VerificationState | None:
        """Return the running verification at ``moment``; None when there is no verification."""
        began, took = self._began, self._took
        if began is None:
            return None
        seconds = moment - began
        left = None if took is None or seconds > took else took - seconds
        return VerificationState(seconds, left)


class Status:
    """Reads a bridge; writes nothing in it."""

    def __init__(
        self,
        bridge: Observed,
        health: Health,
        clock: Clock,
        *,
        about: Mapping[str, str],
        verification: LatestVerification,
    ) -> None:
        self._bridge = bridge
        self._health = health
        self._clock = clock
        self._about = {**about, "version": __version__}
        self._verification = verification

    @property
    def recent(self) -> RecentDeliveries:
        """The last deliveries of the bridge."""
        return self._bridge.recent

    def snapshot(self) -> Snapshot:
        """Return a snapshot of the current state; never waits for a server."""
        bridge = self._bridge
        health = self._health.state()
        in_flight = self._in_flight()
        recovery = _recovery_state(bridge.recovery)
        return Snapshot(
            about={"name": bridge.store.name, **self._about},
            state=bridge.state,
            is_standby=bridge.is_standby,
            reasons=tuple(self._reasons(in_flight, recovery, health)),
            alive=self._is_alive(),
            paused_since=bridge.paused_since,
            streams=bridge.streams,
            start=bridge.start,
            reached=bridge.reached,
            position=bridge.position,
            checkpoint=bridge.stored,
            in_flight=in_flight,
            recovery=recovery,
            verification=self._verification.running(self._clock.monotonic()),
            verified=self._verification.result,
            health=health,
            counters=bridge.counters.copied(),
        )

    def _reasons(
        self, in_flight: InFlightState, recovery: RecoveryState | None, health: HealthState
    ) -> list[str]:
        if not self._bridge.looping:
            # A standby has no session, whose failure would name its cause already.
            servers = health.reasons if self._bridge.is_standby else ()
            return [self._bridge.reason or self._bridge.state, *servers]
        # Kafka's own reason names the cause already.
        named = health.kafka_up is False
        reasons = (
            recovery.text if recovery else "",
            silent_loop(self._silence()),
            stalled(in_flight.oldest_seconds, _no_cause if named else self._bridge.complaint),
            *health.reasons,
        )
        return [reason for reason in reasons if reason]

    def _is_alive(self) -> bool:
        """Waiting for MongoDB, for Kafka or as a standby is alive too."""
        return not self._bridge.looping or self._silence() < HANG_SECONDS

    def _silence(self) -> float:
        return self._clock.monotonic() - self._bridge.last_beat

    def _in_flight(self) -> InFlightState:
        window = self._bridge.in_flight
        if window is None:
            return InFlightState()
        age = window.oldest_age(self._clock.monotonic())
        return InFlightState(window.count, window.bytes, age)


def _no_cause() -> str:
    return ""


def _recovery_state(recovery: Recovery | None) -> RecoveryState | None:
    if recovery is None:
        return None
    return RecoveryState(
        recovery.total, recovery.done, recovery.eta_seconds, str(recovery), recovery.document()
    )
