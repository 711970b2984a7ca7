"""Positions in a change stream: a resume token, or the cluster time to start from."""

from datetime import datetime, timezone
from typing import NamedTuple

#: The hexadecimal digits of a token up to the cluster time: its type 82, then 8 bytes.
TIME_DIGITS = 18


class ClusterTime(NamedTuple):
    """MongoDB's cluster time: Unix seconds and a counter within the second. It sorts by time."""

    seconds: int
    increment: int = 0

    def next(self) -> "ClusterTime":
        """Return the next cluster time."""
        return ClusterTime(self.seconds, self.increment + 1)

    def previous(self) -> "ClusterTime":
        """Return the previous cluster time; the counter starts at 1."""
        return ClusterTime(self.seconds, self.increment - 1)

    def isoformat(self) -> str:
        return datetime.fromtimestamp(self.seconds, timezone.utc).isoformat()


class Position(NamedTuple):
    """A position in a change stream. It sorts in stream order.

    Attributes:
        key: The hexadecimal ``_data`` of MongoDB's resume token, or only its first 18 digits. Its
            string order is the order of events (driver specification "change streams", resume
            token); bytes 1 to 8 are the cluster time. With a whole token the stream resumes right
            after that event; with the first digits only it starts at that cluster time, inclusive.
        type_bits: The token's ``_typeBits`` in hexadecimal, which only unusual ``_id`` types need.
        recovery_cursor: How far a recovery that started at this position got. Cursors sort in the
            order of the recovery; the empty cursor comes first.
    """

    key: str
    type_bits: str = ""
    recovery_cursor: str = ""

    @property
    def token(self) -> str:
        """The whole token; empty if the position is a cluster time."""
        return self.key if len(self.key) > TIME_DIGITS else ""

    @property
    def cluster_time(self) -> ClusterTime:
        """The cluster time of the event, or the cluster time to start at."""
        return ClusterTime(int(self.key[2:10], 16), int(self.key[10:18], 16))

    @property
    def text(self) -> str:
        """The position in words with the whole token, which ``token set`` accepts."""
        return self._described(self.token)

    def __str__(self) -> str:
        return self._described(f"{self.token[:24]}...")

    def _described(self, token: str) -> str:
        where = f"token {token}" if self.token else "no token"
        recovered = f", recovered up to {self.recovery_cursor}" if self.recovery_cursor else ""
        return f"{self.cluster_time.isoformat()} ({where}{recovered})"


def cluster_time_of(token: str) -> ClusterTime:
    """Return the cluster time in a token's ``_data``; raises ``ValueError`` for other text."""
    if len(token) <= TIME_DIGITS or token[:2].lower() != "82":
        raise ValueError(
            "not a resume token: a token starts with 82 and 16 hexadecimal digits of cluster time, "
            "and more digits follow"
        )
    bytes.fromhex(token if len(token) % 2 == 0 else token + "0")
    return ClusterTime(int(token[2:10], 16), int(token[10:18], 16))


def position_after(token: str, type_bits: str = "") -> Position:
    """Return the position right after the event with this token.

    Raises ``ValueError`` if the text is not a resume token.
    """
    cluster_time_of(token)
    return Position(token, type_bits)


def position_before(time: ClusterTime) -> Position:
    """Return the position before all events at this cluster time or later."""
    return Position(f"82{time.seconds:08X}{time.increment:08X}")


def position_past(time: ClusterTime) -> Position:
    """Return the position after all events at this cluster time or earlier."""
    return position_before(time.next())


def position_at(moment: datetime) -> Position:
    """Return the position before all events of that second or later.

    Raises ``ValueError`` if no cluster time can have that second: they are 32-bit Unix seconds.
    """
    seconds = int(moment.timestamp())
    if not 0 < seconds < 2**32:
        raise ValueError(
            f"{moment.isoformat()} is not a possible time in MongoDB's oplog, "
            "which has times from 1970 to 2106"
        )
    return position_before(ClusterTime(seconds))


def past_position(moment: datetime, newest: Position, now: datetime) -> Position | None:
    """Return the position at ``moment``, or None if ``moment`` is in the future.

    On an idle cluster the ``newest`` write is older than ``now``. Times between the two have the
    position ``newest``. Raises ``ValueError`` like :func:`position_at`.
    """
    position = position_at(moment)
    if position <= newest:
        return position
    return newest if moment <= now else None
