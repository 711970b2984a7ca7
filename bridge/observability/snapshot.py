"""A moment of a bridge, as metrics, health and status show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bridge.model.checkpoint import Checkpoint
from bridge.model.position import ClusterTime, Position
from bridge.observability.counters import Counters

#: Shown where there is no change stream.
SWEEP_ONLY = "this mongod is a standalone without change streams: only the sweep finds transitions"


class InFlightState(NamedTuple):
    """The messages in flight; ``oldest_seconds`` is the age of the oldest, None when nothing is."""

    messages: int = 0
    bytes: int = 0
    oldest_seconds: float | None = None


class RecoveryState(NamedTuple):
    """A running recovery: its numbers, in words, and as ``/status.json`` shows it."""

    total: int | None
    done: int
    eta_seconds: float | None
    text: str
    document: Mapping[str, Any]


class Verified(NamedTuple):
    """The result of the last verification; ``until`` is Unix seconds."""

    until: float
    missing: int
    repeated: int
    strange: int
    wrong: int


class OplogTimes(NamedTuple):
    """MongoDB's newest write and the oplog's oldest entry; None while unknown."""

    newest: ClusterTime | None = None
    oldest: ClusterTime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Immutable. HTTP, metrics and pages read snapshots only.

    Attributes:
        about: Name, namespace, topic, driver, mode and version of the bridge.
        state: A state of ``app.lifecycle``.
        reasons: Why the bridge is not ready; empty when it is.
        alive: Whether the main thread works.
        streams: Whether MongoDB has a change stream to read.
        start: The position at which the bridge started; None before it is known.
        position: The settled position; None before it is known.
        checkpoint: The checkpoint as last stored; None before it is known.
        in_flight: The messages in flight.
        recovery: The running recovery; None when there is no recovery.
        verified: The last verification; None before the first.
        oplog: Unknown times unless MongoDB was asked for this snapshot.
        counters: The counts of this moment.
    """

    about: Mapping[str, str]
    state: str
    reasons: tuple[str, ...]
    alive: bool
    streams: bool
    start: Position | None
    position: Position | None
    checkpoint: Checkpoint | None
    in_flight: InFlightState
    recovery: RecoveryState | None
    verified: Verified | None
    oplog: OplogTimes
    counters: Counters

    @property
    def ready(self) -> bool:
        return not self.reasons

    def gauges(self) -> Mapping[str, float | None]:
        """Return the values of :data:`bridge.observability.metrics.GAUGES`; None while unknown."""
        position, stored = self.position, self.checkpoint
        settled = position.cluster_time if position else None
        needed = stored.needed.cluster_time if stored else None
        return {
            "job_bridge_ready": float(self.ready),
            "job_bridge_in_flight_messages": self.in_flight.messages,
            "job_bridge_in_flight_bytes": self.in_flight.bytes,
            "job_bridge_in_flight_oldest_seconds": self.in_flight.oldest_seconds or 0.0,
            "job_bridge_last_checkpoint_timestamp_seconds": (
                (stored.saved_at or None) if stored else None
            ),
            "job_bridge_position_timestamp_seconds": settled.seconds if settled else None,
            "job_bridge_lag_seconds": _between(settled, self.oplog.newest),
            "job_bridge_oplog_headroom_seconds": _between(self.oplog.oldest, needed),
            **self._recovery_gauges(),
            **self._verification_gauges(),
        }

    def _recovery_gauges(self) -> Mapping[str, float | None]:
        recovery = self.recovery
        return {
            "job_bridge_recovery_jobs": recovery.total if recovery else None,
            "job_bridge_recovery_jobs_done": recovery.done if recovery else None,
            "job_bridge_recovery_eta_seconds": recovery.eta_seconds if recovery else None,
        }

    def _verification_gauges(self) -> Mapping[str, float | None]:
        verified = self.verified
        return {
            "job_bridge_verified_until_timestamp_seconds": verified.until if verified else None,
            "job_bridge_verified_missing": verified.missing if verified else None,
            "job_bridge_verified_repeated": verified.repeated if verified else None,
            "job_bridge_verified_strange": verified.strange if verified else None,
            "job_bridge_verified_wrong": verified.wrong if verified else None,
        }

    def document(self) -> dict[str, Any]:
        """Return ``/status.json``."""
        stored = self.checkpoint
        names = (
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
        # The whole token would let a reader of this page move a position.
        token = {"token": stored.position.token[:24]} if stored else {}
        return {
            **self.about,
            "state": self.state,
            "ready": self.ready,
            "reasons": list(self.reasons),
            "notes": [] if self.streams else [SWEEP_ONLY],
            "position": str(self.position) if self.position else None,
            "checkpoint": {**stored.record(), **token} if stored else None,
            "counters": {name: getattr(self.counters, name) for name in names},
            "recovery": dict(self.recovery.document) if self.recovery else None,
            "verified": self.verified._asdict() if self.verified else None,
            "skipped": dict(self.counters.skipped),
            "restarts": dict(self.counters.restarts),
            "gauges": self.gauges(),
        }


def _between(earlier: ClusterTime | None, later: ClusterTime | None) -> float | None:
    if earlier is None or later is None:
        return None
    return float(max(0, later.seconds - earlier.seconds))
