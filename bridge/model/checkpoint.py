"""The checkpoint: a position, and the identity of the data that it belongs to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from bridge import __version__
from bridge.errors import CheckpointUnusable
from bridge.hints import Hint
from bridge.model.checkpoint_move import CheckpointMoved, StoreMove, move_of
from bridge.model.gap import CREATED, Gap, unix_time_of
from bridge.model.position import ClusterTime, Position, cluster_time_of, position_before
from bridge.model.topic_offsets import TopicOffsets, topic_offsets_of
from bridge.model.transition import Transition

#: The newest format. A change that an older bridge would misread raises it.
FORMAT = 3
#: The format of a record with a gap, and without. An older bridge can resume from the latter.
WITH_GAP = 2
WITHOUT_GAP = 1

#: A recovery cursor, see ``mongo/job_documents.py``; a text of any length would fail later.
_CURSOR = re.compile(r"[nt][0-9a-f]{16}")
_CURSOR_BY_ID = re.compile(rf"{CREATED}[0-9a-f]{{16}}")
#: How far the cluster time may be ahead of the wall clock before it is no bound any more.
_MAX_AHEAD_SECONDS = 60.0
#: The last microsecond of the year 9999, the last that a date can have.
_MAX_MICROSECONDS = 253_402_300_800 * 10**6 - 1

UNCHANGED = "Nothing was read or sent, and the checkpoint is unchanged"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stored checkpoint.

    Attributes:
        name: The setting ``checkpoint.name``.
        position: Everything up to here is acknowledged or dead-lettered. While there is a ``gap``,
            its recovery cursor says how far the recovery got.
        sequence: The number of saves.
        epoch: The number of the ownership that saved it.
        fingerprint: Identifies the aggregation stages of the change stream.
        saved_at: The wall-clock time of the save, in Unix seconds.
        gap: The gap that is being recovered, or None.
        delivered: A transition that was settled shortly before the position. A collection without
            it is older than the checkpoint.
        offsets: Where the topic's messages of later positions start; None if that is not known.
        clean: Whether the bridge stopped with this checkpoint: nothing was sent after it.
        unconfirmed: Whether it is a first start at the present, made before anything showed that
            there was no earlier checkpoint.
        move: The mark of a move between stores, with which no bridge may use it; None without.
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
    offsets: TopicOffsets | None = None
    clean: bool = False
    unconfirmed: bool = False
    move: StoreMove | None = None

    def moved(
        self,
        position: Position,
        saved_at: float,
        delivered: Transition | None = None,
        *,
        offsets: TopicOffsets | None = None,
        clean: bool = False,
    ) -> "Checkpoint":
        """Return the next checkpoint, at ``position``; it drops the gap once the gap is passed."""
        return replace(
            self,
            position=position,
            sequence=self.sequence + 1,
            saved_at=saved_at,
            bridge_version=__version__,
            gap=None if self.gap and position >= self.gap.until else self.gap,
            delivered=delivered or self.delivered,
            offsets=offsets,
            clean=clean,
            unconfirmed=False,
        )

    @property
    def needed(self) -> Position:
        """The oldest position that the oplog must still reach."""
        return self.gap.until if self.gap else self.position

    def delivered_by(self, margin: float) -> float:
        """Return a wall-clock time by which everything up to the position was delivered.

        In Unix seconds. Infinite unless the cluster time runs ahead of the wall clock by more than
        ``margin`` seconds, at most a minute: only then is the cluster time no bound for the
        transitions' own times. A longer tolerance would use up the margin of a recovery.
        """
        tolerance = min(margin, _MAX_AHEAD_SECONDS)
        if not self.saved_at or self.position.cluster_time.seconds <= self.saved_at + tolerance:
            return inf
        return min(self.saved_at, unix_time_of(self.delivered) if self.delivered else inf)

    def record(self) -> dict[str, Any]:
        """Return the checkpoint as it is stored: plain values only."""
        return {
            "format": FORMAT if self.move else WITH_GAP if self.gap else WITHOUT_GAP,
            **{name: getattr(self, name) for name in _PLAIN},
            **_position_fields(self.position),
            "place": "" if self._is_at_created else self.position.recovery_cursor,
            "gap": self._gap_fields(self.gap) if self.gap else None,
            # Bridges before 0.3 refuse a sequence of today's size.
            "delivered": self.delivered._replace(sequence=None)._asdict()
            if self.delivered
            else None,
            # Older versions keep these fields and raise the sequence, which makes them invalid.
            "offsets": self.offsets.record() | {"sequence": self.sequence}
            if self.offsets
            else None,
            "clean": self.sequence if self.clean else None,
            "unconfirmed": self.sequence if self.unconfirmed else None,
            "move": self.move.record() if self.move else None,
        }

    @property
    def _is_at_created(self) -> bool:
        return self.position.recovery_cursor.startswith(CREATED)

    def _gap_fields(self, gap: Gap) -> dict[str, Any]:
        return {
            "since": gap.since,
            "recent": gap.recent,
            "back_to": gap.reread_from,
            # An older bridge ignores this, finds no place, and reads the gap from its start.
            "place_by_id": self.position.recovery_cursor if self._is_at_created else "",
            **_position_fields(gap.until),
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


def _position_fields(position: Position) -> dict[str, Any]:
    return {
        "token": position.token,
        "type_bits": position.type_bits,
        "cluster_time": list(position.cluster_time),
    }


def checkpoint_of(record: Mapping[str, Any], where: str) -> Checkpoint:
    """Read a stored record back.

    Args:
        record: The stored fields.
        where: The store, as errors name it.

    Raises:
        CheckpointUnusable: The record is damaged, or a newer version wrote it;
            ``CheckpointMoved`` if it has the mark of a move.
    """
    version = record.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointUnusable(
            f"The checkpoint in {where} has format {version}, "
            f"but this bridge ({__version__}) only knows formats up to {FORMAT}",
            UNCHANGED,
            f"Run job-bridge {record.get('bridge_version', 'in its version')} or later",
        )
    try:
        checkpoint = _read(record)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointUnusable(
            f"The checkpoint in {where} is damaged: {_damage(error)}",
            UNCHANGED,
            "Find the program that wrote there, "
            f"then run '{Hint.TOKEN_SET_TIME}' with a time before the damage",
        ) from None
    if checkpoint.move is not None:
        raise CheckpointMoved(checkpoint, checkpoint.move, where)
    return checkpoint


def _damage(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no field {error}"
    return f"{type(error).__name__}: {error}"


def _read(record: Mapping[str, Any]) -> Checkpoint:
    version = record["format"]
    if version not in (FORMAT, WITH_GAP, WITHOUT_GAP) or (
        version == WITHOUT_GAP and record.get("gap")
    ):
        raise ValueError("the format does not match the gap")
    return Checkpoint(
        name=_text(record["name"]),
        position=_position(record)._replace(recovery_cursor=_cursor_in(record)),
        sequence=_count(record["sequence"], 2**63),
        epoch=_count(record["epoch"], 2**63),
        fingerprint=_text(record["fingerprint"]),
        namespace=_text(record["namespace"]),
        mongo_cluster_id=_text(record["mongo_cluster_id"]),
        bridge_version=_text(record["bridge_version"]),
        saved_at=float(record["saved_at"]),
        gap=_gap(record["gap"]) if record.get("gap") else None,
        delivered=_delivered(record["delivered"]) if record.get("delivered") else None,
        offsets=topic_offsets_of(record.get("offsets"), record["sequence"]),
        clean=record.get("clean") == record["sequence"],
        unconfirmed=record.get("unconfirmed") == record["sequence"],
        # An older version, which leaves unknown fields as they are, writes an older format.
        move=move_of(record["move"]) if version == FORMAT else None,
    )


def _position(record: Mapping[str, Any]) -> Position:
    seconds, increment = record["cluster_time"]
    token, type_bits = _text(record["token"]), _text(record.get("type_bits", ""))
    time = ClusterTime(_count(seconds, 2**32), _count(increment, 2**32))
    bytes.fromhex(type_bits)
    if token and cluster_time_of(token) != time:
        raise ValueError("token and cluster_time disagree")
    return Position(token, type_bits) if token else position_before(time)


def _cursor_in(record: Mapping[str, Any]) -> str:
    """Return the recovery cursor of a record.

    Empty if an older version wrote it during a recovery: that version does not read the jobs that
    were created in the gap with an older update time, so the gap is read from its start.
    """
    cursor = _cursor(record.get("place", ""))
    gap = record.get("gap")
    if not isinstance(gap, Mapping):
        return cursor
    if "place_by_id" not in gap:
        return ""
    by_id = _text(gap["place_by_id"])
    if by_id and not _CURSOR_BY_ID.fullmatch(by_id):
        raise ValueError(f"{by_id!r:.40} is not a recovery cursor")
    return by_id or cursor


def _cursor(value: object) -> str:
    """Return a recovery cursor: a kind and microseconds up to the year 9999, in hexadecimal."""
    cursor = _text(value)
    if cursor and (not _CURSOR.fullmatch(cursor) or int(cursor[1:], 16) > _MAX_MICROSECONDS):
        raise ValueError(f"{cursor!r:.40} is not a recovery cursor")
    return cursor


def _gap(record: Mapping[str, Any]) -> Gap:
    if not isinstance(record, Mapping):
        raise TypeError(f"{record!r:.40} is not a gap")
    since, reread_from = (
        None if record.get(name) is None else float(record[name]) for name in ("since", "back_to")
    )
    return Gap(since, _position(record), float(record["recent"]), reread_from)


def _delivered(record: Mapping[str, Any]) -> Transition:
    job_id, state, time, trans_id = (
        _text(record[name]) for name in ("job_id", "state", "time", "trans_id")
    )
    return Transition(job_id, state, time, trans_id)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not text")
    return value


def _count(value: object, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise TypeError(f"{value!r:.40} is not a count below {limit}")
    return int(value)
