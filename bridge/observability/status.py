"""The state of the bridge as others see it: written by the service, only read by the web server."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from bridge import __version__
from bridge.clock import Clock
from bridge.model.checkpoint import Checkpoint
from bridge.model.policy import stalled
from bridge.model.position import ClusterTime, Position
from bridge.model.window import Window
from bridge.observability.metrics import Counters

#: A loop that has not turned for so long hangs: longer than any single call it makes may take.
HANG_SECONDS = 90.0
#: Questions to MongoDB are asked when scraped, but not more often than this, seldom while it does not answer.
_ASK_SECONDS = 2.0
_ASK_AGAIN_SECONDS = 15.0

#: What an operator is told where there is no change stream.
SWEEP_ALONE = (
    "this mongod is a standalone without change streams: transitions are found by the sweep alone"
)

Ask = Callable[[], ClusterTime | None]


class Recovering(Protocol):
    """How far a recovery is; ``str()`` says it in words."""

    total: int | None
    done: int

    @property
    def seconds(self) -> float: ...

    @property
    def eta_seconds(self) -> float | None: ...

    def document(self) -> dict[str, Any]: ...


class Verified(NamedTuple):
    """What the last verification found; ``until`` is Unix seconds."""

    until: float
    missing: int
    repeated: int


class Status:
    """``state`` is one of :data:`bridge.observability.metrics.STATES`; ``reason`` says why the bridge is not ready."""

    def __init__(self, about: Mapping[str, str], clock: Clock, counters: Counters) -> None:
        self._about = {**about, "version": __version__}
        self._clock = clock
        self._counters = counters
        self.state = "starting"
        self.reason = "starting"
        self.window: Window | None = None
        #: Where the bridge began when it started.
        self.began: Position | None = None
        self.position: Callable[[], Position | None] = lambda: None
        self.stored: Callable[[], Checkpoint | None] = lambda: None
        self.complaint: Callable[[], str] = lambda: ""
        self.recovery: Recovering | None = None
        self.verified: Verified | None = None
        #: Whether there is a change stream to read: a standalone mongod has none.
        self.streams = True
        self._last_write = self._oplog_start = _nobody

    def watch(self, window: Window | None) -> None:
        """Tell what is in flight by this window from now on; None where there is no producer."""
        self.window = window

    def ask(self, last_write: Ask, oplog_start: Ask) -> None:
        """Give the questions to MongoDB that lag and headroom need."""
        self._last_write = _Remembered(last_write, self._clock)
        self._oplog_start = _Remembered(oplog_start, self._clock)

    def reasons(self) -> list[str]:
        """Why the bridge is not ready; empty when it is."""
        if self.state not in ("running", "recovering"):
            return [self.reason or self.state]
        recovery = (
            str(self.recovery) if self.state == "recovering" and self.recovery is not None else ""
        )
        return [reason for reason in (recovery, self.stalled()) if reason]

    def stalled(self) -> str:
        """What to say when Kafka takes nothing; empty when it does."""
        return stalled(self.oldest_age(), self.complaint)

    def alive(self) -> bool:
        """Whether the loop turns; waiting for MongoDB, Kafka or another bridge is alive too."""
        return (
            self.state not in ("running", "recovering")
            or self._clock.monotonic() - self._counters.turned < HANG_SECONDS
        )

    def gauges(self) -> Mapping[str, float | None]:
        """The values of :data:`bridge.observability.metrics.GAUGES`, None while unknown."""
        window, position, stored = self.window, self.position(), self.stored()
        recovery = self.recovery if self.state == "recovering" else None
        verified = self.verified
        return {
            "job_bridge_ready": float(not self.reasons()),
            "job_bridge_in_flight_messages": window.count if window else 0,
            "job_bridge_in_flight_bytes": window.bytes if window else 0,
            "job_bridge_in_flight_oldest_seconds": self.oldest_age() or 0.0,
            "job_bridge_last_checkpoint_timestamp_seconds": (stored.saved_at or None)
            if stored
            else None,
            "job_bridge_position_timestamp_seconds": position.cluster_time.seconds
            if position
            else None,
            "job_bridge_lag_seconds": _between(
                position.cluster_time if position else None, self._last_write()
            ),
            "job_bridge_oplog_headroom_seconds": _between(
                self._oplog_start(), stored.needed.cluster_time if stored else None
            ),
            "job_bridge_recovery_jobs": recovery.total if recovery else None,
            "job_bridge_recovery_jobs_done": recovery.done if recovery else None,
            "job_bridge_recovery_eta_seconds": recovery.eta_seconds if recovery else None,
            "job_bridge_verified_until_timestamp_seconds": verified.until if verified else None,
            "job_bridge_verified_missing": verified.missing if verified else None,
            "job_bridge_verified_repeated": verified.repeated if verified else None,
        }

    def document(self) -> dict[str, Any]:
        """Everything, as ``/status.json`` shows it."""
        position, stored = self.position(), self.stored()
        counted = self._counters
        return {
            **self._about,
            "state": self.state,
            "ready": not self.reasons(),
            "reasons": self.reasons(),
            "notes": [] if self.streams else [SWEEP_ALONE],
            "position": str(position) if position else None,
            "checkpoint": {**stored.record(), "token": stored.position.token[:24]}
            if stored
            else None,
            "counters": {
                name: getattr(counted, name)
                for name in (
                    "read",
                    "sent",
                    "acked",
                    "lost",
                    "dead_lettered",
                    "recovered",
                    "swept",
                    "possible_duplicates",
                    "checkpoints",
                    "history_lost",
                    "fenced",
                )
            },
            "recovery": self.recovery.document() if self.recovery else None,
            "verified": self.verified._asdict() if self.verified else None,
            "skipped": dict(counted.skipped),
            "restarts": dict(counted.restarts),
            "gauges": self.gauges(),
        }

    def oldest_age(self) -> float | None:
        """For how long the oldest message has been in flight, in seconds; None when there is none."""
        oldest = self.window.oldest if self.window else None
        return None if oldest is None else max(0.0, self._clock.monotonic() - oldest)


class _Remembered:
    """Asks at most every :data:`_ASK_SECONDS`; scraping often costs MongoDB nothing more."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._answer: ClusterTime | None = None
        self._at: float | None = None

    def __call__(self) -> ClusterTime | None:
        patience = _ASK_AGAIN_SECONDS if self._answer is None else _ASK_SECONDS
        if self._at is None or self._clock.monotonic() - self._at >= patience:
            self._answer = self._ask()
            self._at = self._clock.monotonic()
        return self._answer


def _nobody() -> ClusterTime | None:
    return None


def _between(earlier: ClusterTime | None, later: ClusterTime | None) -> float | None:
    return (
        None if earlier is None or later is None else float(max(0, later.seconds - earlier.seconds))
    )
