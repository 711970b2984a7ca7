"""A line in the list of a store's checkpoints."""

from typing import NamedTuple

from bridge.model.checkpoint import Checkpoint


class CheckpointEntry(NamedTuple):
    """A checkpoint as a list shows it.

    Attributes:
        name: The setting ``checkpoint.name`` of its bridge.
        checkpoint: The stored checkpoint; None before the first save, or when it is damaged.
        owner: The bridge that owns it, in words; empty when no bridge does.
        damage: Why it cannot be read; empty when it can.
    """

    name: str
    checkpoint: Checkpoint | None
    owner: str = ""
    damage: str = ""
