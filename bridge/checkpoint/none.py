"""The store of modes without a checkpoint: tags in the jobs record the unsent transitions."""

from collections.abc import Sequence

from bridge.errors import Usage
from bridge.model.checkpoint import Checkpoint
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.membership import Membership

_NO_POSITION = (
    "this delivery.mode stores no position: tags in the jobs record the unsent transitions"
)


class NullCheckpointStore:
    """Stores nothing and admits any number of bridges.

    See :class:`bridge.pipeline.ports.CheckpointStore` for the contract.
    """

    where = "the jobs' own tags"

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def epoch(self) -> int:
        """Always 0, because there is no owner."""
        return 0

    @property
    def cleared(self) -> bool:
        """Always True: a missing position is normal."""
        return True

    def acquire(self) -> str:
        """Always succeed: two bridges that sweep the same jobs lose nothing."""
        return ""

    def load(self) -> Checkpoint | None:
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        pass

    def renew(self) -> None:
        pass

    def release(self) -> None:
        pass

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Raise ``Usage``: there is nothing to replace."""
        raise Usage(_NO_POSITION, "Nothing was changed")

    def remove(self) -> None:
        """Raise ``Usage``: there is nothing to remove."""
        raise Usage(_NO_POSITION, "Nothing was changed")

    def entries(self) -> Sequence[CheckpointEntry]:
        """Raise ``Usage``: there is nothing to list."""
        raise Usage(_NO_POSITION)

    def ownership(self) -> Membership:
        """There is no owner."""
        return Membership()

    def check_rights(self) -> None:
        pass
