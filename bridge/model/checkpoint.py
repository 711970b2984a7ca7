"""The checkpoint: a position and everything needed to know that it is ours."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bridge import __version__
from bridge.errors import CheckpointUnusable
from bridge.model.position import ClusterTime, Position, cluster_time_of, position_from

#: Raised when a record changes so that an older bridge would misread it.
FORMAT = 1

_LOST_NOTHING = "Nothing was read or sent, and the checkpoint is as it was"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One stored checkpoint. ``sequence`` counts saves; ``saved_at`` is Unix seconds."""

    name: str
    position: Position
    sequence: int
    epoch: int
    fingerprint: str
    namespace: str
    mongo_cluster_id: str
    bridge_version: str = __version__
    saved_at: float = 0.0

    def moved(self, position: Position, saved_at: float) -> "Checkpoint":
        """The next checkpoint, at ``position``."""
        return replace(
            self, position=position, sequence=self.sequence + 1, saved_at=saved_at, bridge_version=__version__
        )

    def record(self) -> dict[str, Any]:
        """The checkpoint as stored: plain values only."""
        fields = asdict(self)
        position = fields.pop("position")
        return {
            "format": FORMAT,
            **fields,
            "token": position.token,
            "type_bits": position.type_bits,
            "cluster_time": list(position.cluster_time),
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
    seconds, increment = record["cluster_time"]
    token, type_bits = _text(record["token"]), _text(record.get("type_bits", ""))
    time = ClusterTime(_count(seconds, 2**32), _count(increment, 2**32))
    bytes.fromhex(type_bits)
    if token and cluster_time_of(token) != time:
        raise ValueError("token and cluster_time, which disagree")
    if record["format"] != FORMAT:
        raise ValueError("format")
    return Checkpoint(
        name=_text(record["name"]),
        position=Position(token, type_bits) if token else position_from(time),
        sequence=_count(record["sequence"], 2**63),
        epoch=_count(record["epoch"], 2**63),
        fingerprint=_text(record["fingerprint"]),
        namespace=_text(record["namespace"]),
        mongo_cluster_id=_text(record["mongo_cluster_id"]),
        bridge_version=_text(record["bridge_version"]),
        saved_at=float(record["saved_at"]),
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
class Origin:
    """What a checkpoint of this bridge must have been made from."""

    namespace: str
    mongo_cluster_id: str
    fingerprint: str
    cluster_time: ClusterTime

    def admit(self, checkpoint: Checkpoint) -> None:
        """Raise :class:`CheckpointUnusable` when the checkpoint is of another collection or cluster."""
        if checkpoint.namespace != self.namespace:
            raise _foreign(f"is of {checkpoint.namespace}, this bridge reads {self.namespace}")
        if not _same_cluster(checkpoint.mongo_cluster_id, self.mongo_cluster_id):
            raise _foreign(
                f"is of MongoDB cluster {checkpoint.mongo_cluster_id}, this one is {self.mongo_cluster_id}"
            )
        # By seconds: a first position is one tick after the newest write.
        if checkpoint.position.cluster_time.seconds > self.cluster_time.seconds:
            raise _foreign(
                f"is at {checkpoint.position.cluster_time.isoformat()}, later than this cluster's last write at "
                f"{self.cluster_time.isoformat()}: the cluster was restored from a backup, or is another one"
            )

    def first(self, name: str, position: Position, epoch: int, saved_at: float) -> Checkpoint:
        """Make the first checkpoint of a bridge."""
        return Checkpoint(
            name, position, 0, epoch, self.fingerprint, self.namespace, self.mongo_cluster_id, saved_at=saved_at
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
