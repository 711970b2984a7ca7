"""No checkpoint at all: for the modes in which tags in the jobs say what is still to be sent."""

from bridge.errors import Usage
from bridge.model.checkpoint import Checkpoint


class NullCheckpointStore:
    """Keeps nothing and keeps nobody out; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract."""

    where = "the jobs' own tags"

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def epoch(self) -> int:
        """There are no owners."""
        return 0

    def acquire(self) -> str:
        """Everybody may: two that sweep the same jobs lose nothing."""
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
        """Raises ``Usage``: there is nothing to change."""
        raise Usage(
            "this delivery.mode keeps no position: tags in the jobs say what is still to be sent",
            "Nothing was changed",
        )

    def check_rights(self) -> None:
        pass
