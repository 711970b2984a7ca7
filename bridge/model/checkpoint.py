"""The checkpoint: a position and everything needed to know that it is ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from bridge import __version__
from bridge.errors import CheckpointUnusable
from bridge.model.gap import Gap, moment_of
from bridge.model.position import ClusterTime, Position, cluster_time_of, position_from
from bridge.model.transition import Transition

#: Raised when a record changes so that an older bridge would misread it.
FORMAT = 2
#: What a record has as long as there is no gap: a bridge that knows of none can go on with it.
WITHOUT_GAP = 1

_LOST_NOTHING = "Nothing was read or sent, and the checkpoint is as it was"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One stored checkpoint. ``sequence`` counts saves; ``saved_at`` is Unix seconds.

    With a ``gap`` the position is a place in its recovery. ``delivered`` is a transition that was
    settled shortly before the position: a collection that lacks it is older than the checkpoint.
    """

    name: str
    position: Position
    sequence: int
    epoch: int
    fingerprint: str
    namespace: str
    mongo_cluster_id: str
    bridge_version: str = __version__
    saved_at: float = 0.0
    gap: Gap | None = None
    delivered: Transition | None = None

    def moved(
        self, position: Position, saved_at: float, delivered: Transition | None = None
    ) -> "Checkpoint":
        """The next checkpoint, at ``position``; at the end of the gap there is none any more."""
        return replace(
            self,
            position=position,
            sequence=self.sequence + 1,
            saved_at=saved_at,
            bridge_version=__version__,
            gap=None if self.gap and position >= self.gap.until else self.gap,
            delivered=delivered or self.delivered,
        )

    @property
    def needed(self) -> Position:
        """The place from which on the oplog is still needed."""
        return self.gap.until if self.gap else self.position

    def known(self, margin: float) -> float:
        """A moment by the wall clock before which all up to the position was delivered, where its cluster time is ahead of that; else endless."""
        if not self.saved_at or self.position.cluster_time.seconds <= self.saved_at + margin:
            return inf
        return min(self.saved_at, moment_of(self.delivered) if self.delivered else inf)

    def record(self) -> dict[str, Any]:
        """The checkpoint as stored: plain values only."""
        return {
            "format": FORMAT if self.gap else WITHOUT_GAP,
            **{name: getattr(self, name) for name in _PLAIN},
            **_token_fields(self.position),
            "place": self.position.recovery_cursor,
            "gap": _bounds(self.gap) if self.gap else None,
            "delivered": self.delivered._asdict() if self.delivered else None,
        }


_PLAIN = (
    "name",
    "sequence",
    "epoch",
    "fingerprint",
    "namespace",
    "mongo_cluster_id",
    "bridge_version",
    "saved_at",
)


def _token_fields(position: Position) -> dict[str, Any]:
    return {
        "token": position.token,
        "type_bits": position.type_bits,
        "cluster_time": list(position.cluster_time),
    }


def _bounds(gap: Gap) -> dict[str, Any]:
    return {
        "since": gap.since,
        "recent": gap.recent,
        "back_to": gap.reread_from,
        **_token_fields(gap.until),
    }


def checkpoint_of(record: Mapping[str, Any], where: str) -> Checkpoint:
    """Read a stored record back; ``where`` names the store in messages.

    Raises :class:`CheckpointUnusable` when it comes from a newer version or is damaged.
    """
    version = record.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointUnusable(
            f"The checkpoint in {where} has format {version}, this bridge ({__version__}) knows {FORMAT}",
            _LOST_NOTHING,
            f"Run bridge {record.get('bridge_version', 'of the newer version')} or later",
        )
    try:
        return _read(record)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointUnusable(
            f"The checkpoint in {where} is damaged: {type(error).__name__} at {error}",
            _LOST_NOTHING,
            "Find out what wrote there; then 'job-bridge token set TIME' with a time before the damage",
        ) from None


def _read(record: Mapping[str, Any]) -> Checkpoint:
    if record["format"] not in (FORMAT, WITHOUT_GAP) or (
        record["format"] == WITHOUT_GAP and record.get("gap")
    ):
        raise ValueError("format")
    return Checkpoint(
        name=_text(record["name"]),
        position=_position(record)._replace(recovery_cursor=_text(record.get("place", ""))),
        sequence=_count(record["sequence"], 2**63),
        epoch=_count(record["epoch"], 2**63),
        fingerprint=_text(record["fingerprint"]),
        namespace=_text(record["namespace"]),
        mongo_cluster_id=_text(record["mongo_cluster_id"]),
        bridge_version=_text(record["bridge_version"]),
        saved_at=float(record["saved_at"]),
        gap=_gap(record["gap"]) if record.get("gap") else None,
        delivered=_delivered(record["delivered"]) if record.get("delivered") else None,
    )


def _position(record: Mapping[str, Any]) -> Position:
    seconds, increment = record["cluster_time"]
    token, type_bits = _text(record["token"]), _text(record.get("type_bits", ""))
    time = ClusterTime(_count(seconds, 2**32), _count(increment, 2**32))
    bytes.fromhex(type_bits)
    if token and cluster_time_of(token) != time:
        raise ValueError("token and cluster_time, which disagree")
    return Position(token, type_bits) if token else position_from(time)


def _gap(record: Mapping[str, Any]) -> Gap:
    since, reread_from = (
        None if record.get(name) is None else float(record[name]) for name in ("since", "back_to")
    )
    return Gap(since, _position(record), float(record["recent"]), reread_from)


def _delivered(record: Mapping[str, Any]) -> Transition:
    sequence = record["sequence"]
    job_id, state, time, trans_id = (
        _text(record[name]) for name in ("job_id", "state", "time", "trans_id")
    )
    return Transition(
        job_id, state, time, trans_id, None if sequence is None else _count(sequence, 2**31)
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} where text belongs")
    return value


def _count(value: object, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise TypeError(f"{value!r:.40} where a count below {limit} belongs")
    return int(value)


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """What a checkpoint of this bridge must have been made from."""

    namespace: str
    mongo_cluster_id: str
    fingerprint: str
    cluster_time: ClusterTime

    @property
    def newest(self) -> Position:
        """The place after everything that is written; what of that a majority has not yet, a reader of history waits for."""
        return position_from(self.cluster_time.next())

    def admit(self, checkpoint: Checkpoint) -> None:
        """Raise :class:`CheckpointUnusable` when the checkpoint is of another collection or cluster."""
        if checkpoint.namespace != self.namespace:
            raise _foreign(f"is of {checkpoint.namespace}, this bridge reads {self.namespace}")
        if not _same_cluster(checkpoint.mongo_cluster_id, self.mongo_cluster_id):
            raise restored(
                f"is of MongoDB cluster {checkpoint.mongo_cluster_id}, this one is {self.mongo_cluster_id}"
            )
        # By seconds: a first position is one tick after the newest write.
        if checkpoint.position.cluster_time.seconds > self.cluster_time.seconds:
            raise restored(
                f"is at {checkpoint.position.cluster_time.isoformat()}, later than this cluster's last write at "
                f"{self.cluster_time.isoformat()}"
            )

    def first(
        self, name: str, position: Position, epoch: int, saved_at: float, gap: Gap | None = None
    ) -> Checkpoint:
        """Make the first checkpoint of a bridge."""
        return Checkpoint(
            name,
            position,
            0,
            epoch,
            self.fingerprint,
            self.namespace,
            self.mongo_cluster_id,
            saved_at=saved_at,
            gap=gap,
        )


def _same_cluster(stored: str, here: str) -> bool:
    """Compare ``set/id`` by what both know: the id may be hidden from a user without the right."""
    stored_set, _, stored_id = stored.partition("/")
    here_set, _, here_id = here.partition("/")
    if stored_id and here_id:
        return stored_id == here_id
    return stored_set == here_set


def _foreign(what: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"The stored checkpoint {what}",
        _LOST_NOTHING,
        "Give this bridge a checkpoint.name of its own, or, if you are sure, "
        "'job-bridge token clear' and start again",
    )


def restored(what: str, else_: str = "") -> CheckpointUnusable:
    """The error for data that is not what the checkpoint was made from: two commands could be right, a person knows which.

    ``else_`` is what else it could be, and what to do then.
    """
    return CheckpointUnusable(
        f"The stored checkpoint {what}: the data was restored from a backup, or is that of another cluster",
        _LOST_NOTHING,
        "To go on with what is there, telling only what happens from now on: 'job-bridge token set now'. To tell all that its jobs know, "
        "what Kafka has already among it: 'job-bridge token clear', then 'job-bridge run --start-from history'. "
        f"If it is another cluster by mistake, correct mongo.uri; if on purpose, give the bridge a checkpoint.name of its own{else_}",
    )
