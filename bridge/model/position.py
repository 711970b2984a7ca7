"""Where in a change stream we are: a resume token, and the cluster time it stands for."""

from datetime import datetime, timezone
from typing import NamedTuple


class ClusterTime(NamedTuple):
    """MongoDB's cluster time: Unix seconds and a counter within the second; compares in order."""

    seconds: int
    increment: int = 0

    def isoformat(self) -> str:
        return datetime.fromtimestamp(self.seconds, timezone.utc).isoformat()


class Position(NamedTuple):
    """A place in a change stream; compares in stream order.

    With a ``token`` the stream goes on after exactly that event; without one it begins at
    ``cluster_time``, inclusive. ``token`` is the hexadecimal ``_data`` of MongoDB's resume token:
    its string order is the order of events (driver specification "change streams", resume token),
    and bytes 1 to 8 are the cluster time. ``type_bits`` is the token's ``_typeBits`` in
    hexadecimal, which only unusual types of ``_id`` have.
    """

    cluster_time: ClusterTime
    token: str = ""
    type_bits: str = ""

    def __str__(self) -> str:
        where = f"token {self.token[:24]}..." if self.token else "no token"
        return f"{self.cluster_time.isoformat()} ({where})"


def cluster_time_of(token: str) -> ClusterTime:
    """Read the cluster time out of a resume token's ``_data``; ``ValueError`` when it is no token."""
    if len(token) < 18 or token[:2].lower() != "82":
        raise ValueError("no resume token: it begins with 82 and 16 hexadecimal digits of cluster time")
    bytes.fromhex(token if len(token) % 2 == 0 else token + "0")
    return ClusterTime(int(token[2:10], 16), int(token[10:18], 16))


def position_of(token: str, type_bits: str = "") -> Position:
    """Make the position right after the event with this token; ``ValueError`` when it is no token."""
    return Position(cluster_time_of(token), token, type_bits)


def position_at(moment: datetime) -> Position:
    """Make the position of a time: everything committed in that second or later comes after it."""
    return Position(ClusterTime(int(moment.timestamp())))
