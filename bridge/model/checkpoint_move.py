"""The mark in a checkpoint that moves between two stores."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.errors import CheckpointUnusable
from bridge.hints import Hint

if TYPE_CHECKING:
    from bridge.model.checkpoint import Checkpoint

_UNCHANGED = "Nothing was read or sent, and the checkpoint is unchanged"


class StoreMove(NamedTuple):
    """A move of a checkpoint to another store.

    While it moves, the copy has a mark and is not valid; then the original has one. So at each
    moment at most one of them is valid, and a copy of the position always exists.

    Attributes:
        source: The ``checkpoint.store`` that it leaves.
        target: The ``checkpoint.store`` to which it moves.
        where: The place in the target, for messages.
        left: Whether this is the original, which is not used any more; else it is the copy.
    """

    source: str
    target: str
    where: str
    left: bool

    def record(self) -> dict[str, Any]:
        return {"from": self.source, "to": self.target, "where": self.where, "left": self.left}


class CheckpointMoved(CheckpointUnusable):
    """A record that no bridge may use, because its checkpoint moves or has moved.

    Attributes:
        checkpoint: The content of the record.
        move: Its mark.
    """

    def __init__(self, checkpoint: "Checkpoint", move: StoreMove, where: str) -> None:
        self.checkpoint = checkpoint
        self.move = move
        command = Hint.TOKEN_MOVE.with_value(move.target)
        if move.left:
            super().__init__(
                f"The checkpoint was moved from {where} to {move.where}",
                _UNCHANGED,
                f"Set checkpoint.store = {move.target}",
            )
        else:
            super().__init__(
                f"The move of the checkpoint from checkpoint.store = {move.source} to {where} "
                "is not finished",
                _UNCHANGED,
                f"Run '{command}' with checkpoint.store = {move.source}",
            )


def move_of(record: object) -> StoreMove:
    """Read a stored mark back. Raises ``TypeError``, ``KeyError`` or ``ValueError``."""
    if not isinstance(record, Mapping):
        raise TypeError(f"{record!r:.40} is not a move")
    source, target, where = (record[name] for name in ("from", "to", "where"))
    texts = all(isinstance(text, str) for text in (source, target, where))
    if not texts or not isinstance(record["left"], bool):
        raise TypeError("a move has three texts and a truth value")
    return StoreMove(source, target, where, record["left"])
