"""A moment of a bridge, as metrics, health and status show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bridge.clock import iso
from bridge.logs.recent_warnings import LoggedWarning
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


class VerificationState(NamedTuple):
    """A running verification, in seconds.

    ``eta_seconds`` is by the time that the one before took; None before the first has ended, and
    once it takes longer.
    """

    seconds: float
    eta_seconds: float | None


class OplogTimes(NamedTuple):
    """MongoDB's newest write and the oplog's oldest entry; None while unknown."""

    newest: ClusterTime | None = None
    oldest: ClusterTime | None = None


class OwnershipState(NamedTuple):
    """The owner of the checkpoint and its standbys, as last known.

    Attributes:
        owner: The owner in words; None when there is no owner, or while that is not known.
        since: When it became the owner, in Unix seconds; None while that is not known.
        standbys: The standbys in words; None where the store does not know them.
        is_us: Whether this process is the owner.
    """

    owner: str | None
    since: float | None
    standbys: tuple[str, ...] | None
    is_us: bool


class HealthState(NamedTuple):
    """The answers of MongoDB, Kafka and the log to the bridge's own questions.

    Attributes:
        reasons: Why the bridge is not ready; empty when all is well.
        notes: Remarks that do not keep the bridge from being ready.
        kafka_up: Whether Kafka answers and the topic can accept messages; None while not known.
        mongodb_up: Whether MongoDB answers; None while that is not known.
        collection_exists: Whether the jobs collection exists; None while that is not known.
        oplog: Unknown times while MongoDB does not answer.
        log_lines_dropped: The lines that the log dropped because nothing read it.
        warnings: The last warnings and errors of the log, the latest first.
        ownership: The owner of the checkpoint; None where no position is kept.
    """

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kafka_up: bool | None = None
    mongodb_up: bool | None = None
    collection_exists: bool | None = None
    oplog: OplogTimes = OplogTimes()
    log_lines_dropped: int = 0
    warnings: tuple[LoggedWarning, ...] = ()
    ownership: OwnershipState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Immutable. HTTP, metrics and pages read snapshots only.

    Attributes:
        about: Name, namespace, topic, driver, mode and version of the bridge.
        state: A state of ``app.lifecycle``.
        is_standby: Whether that is the state of a standby.
        reasons: Why the bridge is not ready; empty when it is.
        alive: Whether the main thread works.
        paused_since: When a pause was requested, in Unix seconds; None without a pause.
        streams: Whether MongoDB has a change stream to read.
        start: The position at which the bridge started; None before it is known.
        reached: The position up to which events were read; None while no stream is open.
        position: The settled position; None before it is known.
        checkpoint: The checkpoint as last stored; None before it is known.
        in_flight: The messages in flight.
        recovery: The running recovery; None when there is no recovery.
        verification: The running verification; None when there is no verification.
        verified: The last verification; None before the first.
        health: The latest answers of MongoDB, Kafka and the log.
        counters: The counts of this moment.
    """

    about: Mapping[str, str]
    state: str
    is_standby: bool
    reasons: tuple[str, ...]
    alive: bool
    paused_since: float | None
    streams: bool
    start: Position | None
    reached: Position | None
    position: Position | None
    checkpoint: Checkpoint | None
    in_flight: InFlightState
    recovery: RecoveryState | None
    verification: VerificationState | None
    verified: Verified | None
    health: HealthState
    counters: Counters

    @property
    def ready(self) -> bool:
        return not self.reasons

    @property
    def standby_works(self) -> bool:
        """Whether this is a standby that could take over: MongoDB, Kafka and the log answer."""
        return self.is_standby and not (self.health.reasons or self.paused_since)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks that do not keep the bridge from being ready."""
        return (*self.health.notes, *(() if self.streams else (SWEEP_ONLY,)))

    def readiness(self) -> str:
        """Return the text of ``/readyz``: the reasons, or "ready", and notes; one a line."""
        notes = (f"note: {note}" for note in self.health.notes)
        return "".join(f"{line}\n" for line in (*(self.reasons or ("ready",)), *notes))

    def gauges(self) -> Mapping[str, float | None]:
        """Return the values of :data:`bridge.observability.metrics.GAUGES`; None while unknown."""
        position, stored = self.position, self.checkpoint
        settled = position.cluster_time if position else None
        needed = stored.needed.cluster_time if stored else None
        reached = self.reached.cluster_time if self.reached else None
        oplog = self.health.oplog
        return {
            "job_bridge_ready": float(self.ready),
            "job_bridge_paused": float(self.paused_since is not None),
            "job_bridge_kafka_up": _flag(self.health.kafka_up),
            "job_bridge_mongodb_up": _flag(self.health.mongodb_up),
            "job_bridge_collection_exists": _flag(self.health.collection_exists),
            "job_bridge_in_flight_messages": self.in_flight.messages,
            "job_bridge_in_flight_bytes": self.in_flight.bytes,
            "job_bridge_in_flight_oldest_seconds": self.in_flight.oldest_seconds or 0.0,
            "job_bridge_last_checkpoint_timestamp_seconds": (
                (stored.saved_at or None) if stored else None
            ),
            "job_bridge_position_timestamp_seconds": settled.seconds if settled else None,
            "job_bridge_lag_seconds": _between(settled, oplog.newest),
            "job_bridge_source_lag_seconds": _between(reached, oplog.newest),
            "job_bridge_delivery_lag_seconds": _between(settled, reached),
            "job_bridge_oplog_headroom_seconds": _between(oplog.oldest, needed),
            "job_bridge_oplog_window_seconds": _between(oplog.oldest, oplog.newest),
            **self._ownership_gauges(),
            **self._recovery_gauges(),
            **self._verification_gauges(),
        }

    def _ownership_gauges(self) -> Mapping[str, float | None]:
        ownership = self.health.ownership
        standbys = ownership.standbys if ownership else None
        return {
            "job_bridge_owner": float(ownership.is_us) if ownership else None,
            "job_bridge_owner_since_timestamp_seconds": ownership.since if ownership else None,
            "job_bridge_standbys": None if standbys is None else len(standbys),
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
            "latest_only",
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
            "details": True,
            "state": self.state,
            "ready": self.ready,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "warnings": [warning.document() for warning in self.health.warnings],
            "paused_since": None if self.paused_since is None else iso(self.paused_since),
            "position": str(self.position) if self.position else None,
            "checkpoint": {**stored.record(), **token} if stored else None,
            "ownership": self.health.ownership._asdict() if self.health.ownership else None,
            "counters": {name: getattr(self.counters, name) for name in names},
            "recovery": dict(self.recovery.document) if self.recovery else None,
            "verification": self.verification._asdict() if self.verification else None,
            "verified": self.verified._asdict() if self.verified else None,
            "skipped": dict(self.counters.skipped),
            "restarts": dict(self.counters.restarts),
            "gauges": self.gauges(),
        }


def _flag(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _between(earlier: ClusterTime | None, later: ClusterTime | None) -> float | None:
    if earlier is None or later is None:
        return None
    return float(max(0, later.seconds - earlier.seconds))
