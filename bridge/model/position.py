"""Where in a change stream we are: a resume token, and the cluster time it stands for."""

from datetime import datetime, timezone
from typing import NamedTuple

#: Of a token: its kind, 82, and the cluster time.
_TIME_DIGITS = 18


class ClusterTime(NamedTuple):
    """MongoDB's cluster time: Unix seconds and a counter within the second; compares in order."""

    seconds: int
    increment: int = 0

    def next(self) -> "ClusterTime":
        """The time one tick later."""
        return ClusterTime(self.seconds, self.increment + 1)

    def isoformat(self) -> str:
        return datetime.fromtimestamp(self.seconds, timezone.utc).isoformat()


class Position(NamedTuple):
    """A place in a change stream; compares in stream order.

    ``key`` is the hexadecimal ``_data`` of MongoDB's resume token, or only its beginning. Its string
    order is the order of events (driver specification "change streams", resume token), and bytes 1
    to 8 are the cluster time. With a whole token the stream goes on after exactly that event; with
    the beginning up to the cluster time it begins at that time, inclusive. ``type_bits`` is the
    token's ``_typeBits`` in hexadecimal, which only unusual types of ``_id`` have. ``place`` is how
    far a recovery came that began here; places sort in the order of the recovery, none before any.
    """

    key: str
    type_bits: str = ""
    recovery_cursor: str = ""

    @property
    def token(self) -> str:
        """The whole token; empty for a place in time."""
        return self.key if len(self.key) > _TIME_DIGITS else ""

    @property
    def cluster_time(self) -> ClusterTime:
        """The cluster time of the event, or of the place in time."""
        return ClusterTime(int(self.key[2:10], 16), int(self.key[10:18], 16))

    def __str__(self) -> str:
        where = f"token {self.token[:24]}..." if self.token else "no token"
        place = f", recovered up to {self.recovery_cursor}" if self.recovery_cursor else ""
        return f"{self.cluster_time.isoformat()} ({where}{place})"


def cluster_time_of(token: str) -> ClusterTime:
    """Read the cluster time out of a resume token's ``_data``; ``ValueError`` when it is no token."""
    if len(token) <= _TIME_DIGITS or token[:2].lower() != "82":
        raise ValueError(
            "no resume token: it begins with 82 and 16 hexadecimal digits of cluster time, and goes on"
        )
    bytes.fromhex(token if len(token) % 2 == 0 else token + "0")
    return ClusterTime(int(token[2:10], 16), int(token[10:18], 16))


def position_of(token: str, type_bits: str = "") -> Position:
    """Make the position right after the event with this token; ``ValueError`` when it is no token."""
    cluster_time_of(token)
    return Position(token, type_bits)


def position_from(time: ClusterTime) -> Position:
    """Make the position before everything committed at this cluster time or later."""
    return Position(f"82{time.seconds:08X}{time.increment:08X}")


def position_at(moment: datetime) -> Position:
    """Make the position of a time: everything committed in that second or later comes after it.

    ``ValueError`` for one that no cluster time has: they are seconds since 1970, in 32 bits.
    """
    seconds = int(moment.timestamp())
    if not 0 < seconds < 2**32:
        raise ValueError(
            f"{moment.isoformat()} is no time of MongoDB's oplog: those are from 1970 to 2106"
        )
    return position_from(ClusterTime(seconds))


def position_by(moment: datetime, newest: Position, now: datetime) -> Position | None:
    """Make the position of a time that has been, by ``now``; None of one in the future. ``ValueError`` as above.

    Where nothing is written MongoDB's ``newest`` write lies behind the clock: all times from there on are that place.
    """
    position = position_at(moment)
    if position <= newest:
        return position
    return newest if moment <= now else None
