"""The store of modes without a checkpoint: tags in the jobs record the unsent transitions."""

from bridge.errors import Usage
from bridge.model.checkpoint import Checkpoint


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
        raise Usage(
            "this delivery.mode stores no position: tags in the jobs record the unsent transitions",
            "Nothing was changed",
        )

    def check_rights(self) -> None:
        pass
