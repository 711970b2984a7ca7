"""Takes snapshots of a bridge."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from typing import Any, Protocol

from bridge import __version__
from bridge.clock import Clock
from bridge.daemon_executor import DaemonExecutor
from bridge.model.checkpoint import Checkpoint
from bridge.model.policy import stalled
from bridge.model.position import ClusterTime, Position
from bridge.model.window import Window
from bridge.observability.counters import Counters
from bridge.observability.snapshot import (
    InFlightState,
    OplogTimes,
    RecoveryState,
    Snapshot,
    Verified,
)

#: A main thread that shows nothing for this long hangs: no single call of it may take longer.
HANG_SECONDS = 90.0
#: MongoDB is asked when scraped, but not more often than this; less often while it does not answer.
_ASK_SECONDS = 2.0
_ASK_AGAIN_SECONDS = 15.0
#: How long a scrape waits for MongoDB's answer.
_WAIT_SECONDS = 0.5


class Recovery(Protocol):
    """How far a recovery has come; ``str()`` says it in words."""

    total: int | None
    done: int

    @property
    def eta_seconds(self) -> float | None: ...

    def document(self) -> dict[str, Any]: ...


class Observed(Protocol):
    """A bridge as the status reads it; reading is safe on any thread and never waits."""

    @property
    def state(self) -> str: ...

    @property
    def looping(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    @property
    def streams(self) -> bool: ...

    @property
    def last_beat(self) -> float: ...

    @property
    def start(self) -> Position | None: ...

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

    def complaint(self) -> str: ...


class Oplog(Protocol):
    """Asks MongoDB about its oplog; both may wait, and return None without an answer."""

    def last_write(self) -> ClusterTime | None: ...

    def oldest_oplog_entry(self) -> ClusterTime | None: ...


class LatestVerification:
    """Holds the result of the last verification; None before the first."""

    def __init__(self) -> None:
        self.result: Verified | None = None


class Status:
    """Reads a bridge; writes nothing in it."""

    def __init__(
        self,
        bridge: Observed,
        oplog: Oplog,
        clock: Clock,
        *,
        about: Mapping[str, str],
        verification: LatestVerification,
    ) -> None:
        self._bridge = bridge
        self._clock = clock
        self._about = {**about, "version": __version__}
        self._verification = verification
        asking = DaemonExecutor("oplog")
        self._newest = _Remembered(oplog.last_write, clock, asking)
        self._oldest = _Remembered(oplog.oldest_oplog_entry, clock, asking)

    def snapshot(self, *, ask_mongodb: bool = False) -> Snapshot:
        """Return a snapshot of the current state.

        Args:
            ask_mongodb: Whether to wait for MongoDB's answer about its oplog; a probe must not.
        """
        bridge = self._bridge
        in_flight = self._in_flight()
        recovery = _recovery_state(bridge.recovery)
        return Snapshot(
            about=self._about,
            state=bridge.state,
            reasons=tuple(self._reasons(in_flight, recovery)),
            alive=self._is_alive(),
            streams=bridge.streams,
            start=bridge.start,
            position=bridge.position,
            checkpoint=bridge.stored,
            in_flight=in_flight,
            recovery=recovery,
            verified=self._verification.result,
            oplog=OplogTimes(self._newest.ask(), self._oldest.ask())
            if ask_mongodb
            else OplogTimes(),
            counters=bridge.counters.copied(),
        )

    def _reasons(self, in_flight: InFlightState, recovery: RecoveryState | None) -> list[str]:
        if not self._bridge.looping:
            return [self._bridge.reason or self._bridge.state]
        stall = stalled(in_flight.oldest_seconds, self._bridge.complaint)
        return [reason for reason in (recovery.text if recovery else "", stall) if reason]

    def _is_alive(self) -> bool:
        """Waiting for MongoDB, for Kafka or as a standby is alive too."""
        silence = self._clock.monotonic() - self._bridge.last_beat
        return not self._bridge.looping or silence < HANG_SECONDS

    def _in_flight(self) -> InFlightState:
        window = self._bridge.in_flight
        if window is None:
            return InFlightState()
        age = window.oldest_age(self._clock.monotonic())
        return InFlightState(window.count, window.bytes, age)


class _Remembered:
    """Asks at most every :data:`_ASK_SECONDS`, so that frequent scrapes cost MongoDB no more.

    The question runs on ``asking``. A scrape waits for it, but only the scrape that asks, and only
    briefly; until the answer arrives, all others get the one before.
    """

    def __init__(
        self, ask: Callable[[], ClusterTime | None], clock: Clock, asking: Executor
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = asking
        self._question: Future[ClusterTime | None] | None = None
        self._answer: ClusterTime | None = None
        self._asked_at: float | None = None

    def ask(self) -> ClusterTime | None:
        if self._question is None and self._is_due():
            self._question = self._asking.submit(self._ask)
            wait([self._question], _WAIT_SECONDS)
        if self._question is not None and self._question.done():
            self._answer = self._question.result()
            self._question = None
            self._asked_at = self._clock.monotonic()
        return self._answer

    def _is_due(self) -> bool:
        patience = _ASK_AGAIN_SECONDS if self._answer is None else _ASK_SECONDS
        return self._asked_at is None or self._clock.monotonic() - self._asked_at >= patience


def _recovery_state(recovery: Recovery | None) -> RecoveryState | None:
    if recovery is None:
        return None
    return RecoveryState(
        recovery.total, recovery.done, recovery.eta_seconds, str(recovery), recovery.document()
    )
