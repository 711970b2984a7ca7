"""Stores the settled position when it is due, and keeps the ownership of the checkpoint meanwhile."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from bridge.clock import Clock
from bridge.model.checkpoint import Checkpoint
from bridge.model.gap import Gap
from bridge.model.policy import CheckpointPolicy
from bridge.model.position import Position
from bridge.model.transition import Transition
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import CheckpointStore


@dataclass(frozen=True, slots=True)
class _Save:
    """A checkpoint on its way to the store, since when, and what was settled by then."""

    checkpoint: Checkpoint
    began: float
    settled: int
    outcome: Future[None]


class Progress:
    """The one writer of the checkpoint while the bridge runs; the position never moves backwards.

    It outlives a run of the loop: the next run begins at ``position``, which is at or after what
    is stored. A save that is due happens on ``executor``, one at a time, so that no message waits
    for the store; the next call that finds it finished raises what it raised.
    """

    def __init__(
        self,
        store: CheckpointStore,
        checkpoint: Checkpoint,
        policy: CheckpointPolicy,
        renew_seconds: float,
        clock: Clock,
        counters: Counters,
        executor: Executor,
    ) -> None:
        self._store = store
        self._stored = checkpoint
        self._policy = policy
        self._renew_seconds = renew_seconds
        self._clock = clock
        self._counters = counters
        self._executor = executor
        self._saving: _Save | None = None
        self._saved = self._renewed = clock.monotonic()
        self._settled = counters.settled
        self._delivered = checkpoint.delivered
        self.position = checkpoint.position

    @property
    def stored(self) -> Checkpoint:
        """The checkpoint as last stored."""
        return self._stored

    @property
    def gap(self) -> Gap | None:
        """What is to be published from history before the stream goes on; None when there is no such gap (any more)."""
        gap = self._stored.gap
        return gap if gap and self.position < gap.until else None

    def remember(self, position: Position, delivered: Transition | None = None) -> None:
        """Take note of the settled position; begin to store it when due. Raises the store's errors."""
        self.reached(position, delivered)
        self.keep()  # frozen meanwhile, and replaced? That is to be known before anything else
        if self._saving is None and self._due():
            self._begin()
        if self._saving is not None and (self._policy.at_once or self._saving.outcome.done()):
            self._finish()

    def reached(self, position: Position, delivered: Transition | None = None) -> None:
        """Take note of the settled position, and of a transition shortly before it, in memory only."""
        self.position = max(self.position, position)
        self._delivered = delivered or self._delivered

    def lose(self, gap: Gap) -> None:
        """Store that the stream cannot tell what is in ``gap``: it is to be published from history first."""
        self._finish()
        whole = self.gap.extended_by(gap) if self.gap else gap
        self._begin(gap=whole)
        self._finish()

    def keep(self) -> None:
        """Renew the ownership when that is due. Raises ``Fenced`` when it is gone."""
        if self._silent():
            self._finish()
        if self._silent():
            self.renew()

    def renew(self) -> None:
        """Renew the ownership now. Raises the store's errors, ``Fenced`` when it is gone."""
        self._finish()
        began = self._clock.monotonic()
        self._store.renew()
        self._renewed = began

    def save(self) -> None:
        """Store the settled position now, if it moved."""
        self._finish()
        if self.position > self._stored.position:
            self._begin()
            self._finish()

    def _due(self) -> bool:
        elapsed = self._clock.monotonic() - self._saved
        return self.position > self._stored.position and self._policy.due(
            elapsed, settled=self._counters.settled != self._settled
        )

    def _silent(self) -> bool:
        """Whether the store has confirmed nothing for so long that the ownership is to be renewed."""
        return self._clock.monotonic() - self._renewed >= self._renew_seconds

    def _begin(self, gap: Gap | None = None) -> None:
        checkpoint = self._stored.moved(self.position, self._clock.now(), self._delivered)
        checkpoint = replace(checkpoint, gap=gap) if gap else checkpoint
        began, settled = self._clock.monotonic(), self._counters.settled
        self._saving = _Save(
            checkpoint, began, settled, self._executor.submit(self._store.save, checkpoint)
        )

    def _finish(self) -> None:
        """Wait for the save under way, if there is one."""
        if self._saving is None:
            return
        saving, self._saving = self._saving, None
        saving.outcome.result()
        self._stored, self._settled = saving.checkpoint, saving.settled
        # What the store wrote is at least as new as the moment it began.
        self._saved = self._renewed = saving.began
        self._counters.checkpoints += 1
