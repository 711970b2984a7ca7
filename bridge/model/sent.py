"""The record of how far a bridge has sent, over all its sessions."""

from bridge.model.position import Position
from bridge.model.transition import RECOVERY, STREAM

_BEFORE_ALL = Position("")


class SentPositions:
    """Remembers the highest position handed to the sink, so that repeats can be recognised.

    It lives as long as its bridge: after a failure, the next session reads events again that an
    earlier session had sent.

    Attributes:
        highest: The highest position handed to the sink; written in the path of every event.
        read_back: The topic was read back for the messages of positions up to this: they are not
            sent again.
        others: The topic may have messages of positions up to this that were not sent at those
            positions: an earlier process sent them, or a recovery.
    """

    __slots__ = ("highest", "others", "read_back")

    def __init__(self) -> None:
        self.highest = _BEFORE_ALL
        self.read_back = _BEFORE_ALL
        self.others = _BEFORE_ALL

    @property
    def reach(self) -> Position:
        """The topic has no message of a later position."""
        return max(self.highest, self.others)

    def is_repeat(self, position: Position, origin: bytes = STREAM) -> bool:
        """Return whether an earlier session already sent the event at ``position``.

        Args:
            position: The event's position.
            origin: How the event was found. Several jobs of a recovery may share a position, so
                an event of a recovery at the highest position is not known to be a repeat. Only
                events of the stream and of a recovery are ever read again.
        """
        if origin == STREAM:
            return position <= self.highest
        return origin == RECOVERY and position < self.highest
