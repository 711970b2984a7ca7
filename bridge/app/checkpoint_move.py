"""Moves a checkpoint to another store."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from bridge import __version__
from bridge.app.command_ownership import own, owned
from bridge.errors import CheckpointUnusable, NotFound, Usage
from bridge.hints import Hint
from bridge.kafka.state_errors import PositionMissing
from bridge.model.checkpoint import Checkpoint
from bridge.model.checkpoint_move import CheckpointMoved, StoreMove
from bridge.model.cluster_identity import admit_namespace
from bridge.pipeline.ports import CheckpointStore

_UNCHANGED = "Both stores are unchanged"


@dataclass(frozen=True, slots=True)
class NamedStore:
    """A store, and its value of ``checkpoint.store``."""

    setting: str
    store: CheckpointStore


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that is complete.

    Attributes:
        checkpoint: The content of the target.
        finished: Whether an earlier move was finished, rather than a new one made.
    """

    checkpoint: Checkpoint
    finished: bool = False


class CheckpointMove:
    """Moves a checkpoint in three writes, of which each leaves at most one valid checkpoint.

    1. The copy, with a mark that it is not valid yet.
    2. A mark in the original that it is not valid any more.
    3. The copy, without its mark.

    A move that ended between two of them is finished by the next.

    Args:
        source: Where the checkpoint is.
        target: Where it moves.
        namespace: The collection of the settings.
    """

    def __init__(self, source: NamedStore, target: NamedStore, namespace: str) -> None:
        self._source = source.store
        self._target = target.store
        self._namespace = namespace
        mark = StoreMove(source.setting, target.setting, target.store.where, left=False)
        self._copy_mark = mark
        self._original_mark = mark._replace(left=True)

    def run(self, *, overwrite: bool) -> Moved:
        """Move the checkpoint.

        Args:
            overwrite: Whether to replace a checkpoint in the target.

        Raises:
            Fenced: A bridge owns one of them.
            NotFound: There is no checkpoint.
            CheckpointUnusable: The checkpoint is damaged, or has been moved elsewhere.
            Usage: There is a checkpoint in the target.
        """
        with ExitStack() as stack:
            stack.enter_context(owned(self._source))
            stack.enter_context(owned(self._target))
            checkpoint = self._load()
            if isinstance(checkpoint, CheckpointMoved):
                return self._finish(checkpoint)
            return Moved(self._move(checkpoint, replaced=self._admit_target(checkpoint, overwrite)))

    def plan(self, *, overwrite: bool) -> Moved:
        """Return what ``run`` would return, without a change; raises the same errors.

        It does not find a bridge that owns a checkpoint.
        """
        checkpoint = self._load()
        if isinstance(checkpoint, CheckpointMoved):
            return Moved(self._unfinished(checkpoint), finished=True)
        self._admit_target(checkpoint, overwrite)
        return Moved(checkpoint)

    def _load(self) -> Checkpoint | CheckpointMoved:
        """Return the checkpoint to move, or the mark of an earlier move to the same target."""
        try:
            checkpoint = self._source.load()
        except CheckpointMoved as error:
            if not self._is_ours(error.move, left=True):
                raise
            return error
        if checkpoint is None:
            raise NotFound(
                f"no checkpoint '{self._source.name}' in {self._source.where}", _UNCHANGED
            )
        admit_namespace(checkpoint, self._namespace)
        return checkpoint

    def _is_ours(self, move: StoreMove, *, left: bool) -> bool:
        ours = self._copy_mark
        return (move.source, move.target, move.left) == (ours.source, ours.target, left)

    def _admit_target(self, checkpoint: Checkpoint, overwrite: bool) -> bool:
        """Return whether the move may replace a checkpoint. Raises ``Usage`` if it must not."""
        try:
            present = self._target.load()
        except CheckpointMoved as error:
            if error.move.left:
                return False
            # The unfinished copy may have replaced a checkpoint.
            if self._is_ours(error.move, left=False):
                return True
            what = error.what
        except PositionMissing:
            return False
        except CheckpointUnusable as error:
            what = error.what
        else:
            if present is None:
                return False
            if present.unconfirmed and present.position >= checkpoint.position:
                # A first start at the present that was refused: it skips what the move keeps.
                return True
            what = self._compared(checkpoint, present)
        if not overwrite:
            raise Usage(what, _UNCHANGED, "--yes overwrites it")
        return True

    def _compared(self, checkpoint: Checkpoint, present: Checkpoint) -> str:
        found = f"There is a checkpoint in {self._target.where} at {present.position}"
        if checkpoint.position == present.position:
            return f"{found}, which is the same position"
        later = present.position > checkpoint.position
        order = "later" if later else "earlier"
        return f"{found}, {order} than the one to move, at {checkpoint.position}"

    def _move(self, checkpoint: Checkpoint, *, replaced: bool) -> Checkpoint:
        checkpoint = replace(checkpoint, sequence=checkpoint.sequence + 1)
        if replaced:
            # Another bridge may have sent messages after this position.
            checkpoint = replace(checkpoint, offsets=None, clean=False)
        self._write(self._target, replace(checkpoint, move=self._copy_mark))
        self._write(self._source, replace(checkpoint, move=self._original_mark))
        return self._complete(checkpoint)

    def _complete(self, checkpoint: Checkpoint) -> Checkpoint:
        complete = replace(checkpoint, move=None)
        self._write(self._target, complete)
        return complete

    def _write(self, store: CheckpointStore, checkpoint: Checkpoint) -> None:
        own(store)
        store.replace(
            replace(checkpoint, name=store.name, epoch=store.epoch, bridge_version=__version__)
        )

    def _finish(self, error: CheckpointMoved) -> Moved:
        """Finish a move whose original is not valid any more."""
        present = self._unfinished(error)
        return Moved(self._complete(present) if present.move else present, finished=True)

    def _unfinished(self, error: CheckpointMoved) -> Checkpoint:
        """Return the copy that a move left; it has a mark unless the move was complete."""
        try:
            present = self._target.load()
        except CheckpointMoved as copy:
            if not self._is_ours(copy.move, left=False):
                raise
            return replace(copy.checkpoint, move=copy.move)
        if present is not None:
            return present
        time = error.checkpoint.position.cluster_time.isoformat()
        raise CheckpointUnusable(
            f"{error.what}, where there is no checkpoint any more",
            _UNCHANGED,
            f"'{Hint.TOKEN_SET_TIME.with_value(time)}' with checkpoint.store = "
            f"{error.move.target} resumes at the position that was moved",
        )
