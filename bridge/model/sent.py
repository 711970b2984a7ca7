"""The positions that one bridge has handed to a sink, over all its sessions."""

from bridge.model.position import Position

#: Sorts before every position of a stream.
_NOTHING = Position("")


class SentPositions:
    """Remembers the highest position, by which an event is known to be sent again.

    Attributes:
        highest: Of all events handed to a sink in the life of this bridge.
    """

    __slots__ = ("highest",)

    def __init__(self) -> None:
        self.highest = _NOTHING

    def includes(self, position: Position) -> bool:
        """Return whether the event at ``position`` was handed to a sink before."""
        return position <= self.highest

    def passed(self, position: Position) -> bool:
        """Return whether a later event was handed to a sink before.

        For the jobs of a recovery, of which several may share a position.
        """
        return position < self.highest
