"""Stores the settled position when it is due, and keeps the ownership of the checkpoint meanwhile."""

from collections.abc import Callable

from bridge.clock import Clock
from bridge.metrics import Counters
from bridge.model.checkpoint import Checkpoint
from bridge.model.policy import CheckpointPolicy
from bridge.model.position import Position
from bridge.pipeline.ports import CheckpointStore


class Progress:
    """The one writer of the checkpoint while the bridge runs; the position never moves backwards.

    It outlives a run of the loop: the next run begins at ``position``, which is at or after what
    is stored.
    """

    def __init__(
        self, store: CheckpointStore, checkpoint: Checkpoint, policy: CheckpointPolicy, renew_seconds: float,
        clock: Clock, counters: Counters,
    ) -> None:
        self._store = store
        self._stored = checkpoint
        self._policy = policy
        self._renew_seconds = renew_seconds
        self._clock = clock
        self._counters = counters
        self._saved = self._renewed = clock.monotonic()
        self._acked = counters.acked
        self.position = checkpoint.position

    @property
    def stored(self) -> Checkpoint:
        """The checkpoint as last stored."""
        return self._stored

    def remember(self, position: Position) -> None:
        """Take note of the settled position; store it when due. Raises the store's errors."""
        self.reached(position)
        elapsed = self._clock.monotonic() - self._saved
        settled = self._counters.acked != self._acked
        if self.position > self._stored.position and self._policy.due(elapsed, settled=settled):
            self.save()
        else:
            self.keep()

    def reached(self, position: Position) -> None:
        """Take note of the settled position in memory only."""
        self.position = max(self.position, position)

    def keep(self) -> None:
        """Renew the ownership when that is due. Raises ``Fenced`` when it is gone."""
        if self._clock.monotonic() - self._renewed >= self._renew_seconds:
            self._keep(self._store.renew)

    def save(self) -> None:
        """Store the settled position now, if it moved."""
        if self.position <= self._stored.position:
            return
        checkpoint = self._stored.moved(self.position, self._clock.now())
        acked = self._counters.acked
        self._keep(lambda: self._store.save(checkpoint))
        self._stored, self._acked = checkpoint, acked
        self._saved = self._renewed
        self._counters.checkpoints += 1

    def _keep(self, write: Callable[[], None]) -> None:
        before = self._clock.monotonic()
        write()
        # What the store wrote is at least as new as this moment.
        self._renewed = before
