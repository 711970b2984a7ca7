"""Stores the settled position when it is due, and keeps the ownership of the checkpoint."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from bridge.model.checkpoint import Checkpoint
from bridge.model.gap import Gap
from bridge.model.policy import CheckpointPolicy
from bridge.model.position import Position
from bridge.model.transition import Transition
from bridge.model.window import Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.offset_marks import OffsetMarks
from bridge.pipeline.ports import CheckpointStore


@dataclass(frozen=True, slots=True)
class _Save:
    """A checkpoint that is being stored.

    Attributes:
        started: When it was handed to the store, in monotonic seconds.
        settled: Whether messages were settled since the save before.
    """

    checkpoint: Checkpoint
    started: float
    settled: bool
    outcome: Future[None]


class Progress:
    """The only writer of the checkpoint while the bridge runs.

    It outlives the sessions: the next session starts at ``position``, which is at or after the
    stored one and never moves backwards. A save runs on ``executor``, never two at once, so that no
    message waits for the store; the next call that finds it finished raises its error.

    Attributes:
        position: The settled position.
        offsets: Finds the offsets in the topic that belong to the position.
        unacknowledged: Messages that were in flight when the last session had drained.
    """

    def __init__(
        self,
        store: CheckpointStore,
        checkpoint: Checkpoint,
        policy: CheckpointPolicy,
        *,
        renew_seconds: float,
        context: PipelineContext,
        executor: Executor,
    ) -> None:
        self._store = store
        self._stored = checkpoint
        #: The sequence of the latest attempt: a save that failed may still arrive.
        self._sequence = checkpoint.sequence
        self._policy = policy
        self._renew_seconds = renew_seconds
        self._clock = context.clock
        self._counters = context.counters
        self._executor = executor
        self._saving: _Save | None = None
        self._saved = self._clock.monotonic()
        self._renewed = self._saved
        self._delivered = checkpoint.delivered
        self.position = checkpoint.position
        self._sent = context.sent
        #: Whether a session of this process was ready to send.
        self._sends = False
        #: The topic may have messages of other processes, or of a recovery, up to this position.
        self._sent_before = Position("")
        self.offsets = OffsetMarks(checkpoint.offsets, context.sent)
        self.unacknowledged = 0
        #: Whether messages were settled since the last save.
        self._settled = False

    @property
    def stored(self) -> Checkpoint:
        """The checkpoint as last stored."""
        return self._stored

    @property
    def gap(self) -> Gap | None:
        """The gap to publish from the jobs' history first; None when there is no gap."""
        gap = self._stored.gap
        return gap if gap and self.position < gap.until else None

    @property
    def may_have_sent(self) -> bool:
        """Whether the topic may have messages of transitions after the position."""
        if self.gap is not None:
            return True
        if not self._sends:
            return not self._stored.clean
        sent = max(self._sent.highest, self._sent_before)
        return bool(self.unacknowledged) or sent > self.position

    def remember(self, position: Position, delivered: Transition | None = None) -> None:
        """Note the settled position, and start to store it when due. Raises the store's errors."""
        self.reached(position, delivered)
        # A process that was frozen may have lost the checkpoint: find out before anything else.
        self.keep()
        if self._saving is None and self._due():
            self._start_save()
        if self._saving is not None and (self._policy.at_once or self._saving.outcome.done()):
            self._finish_save()

    def note_settled(self) -> None:
        """Note that messages were settled, which makes the next save due sooner."""
        self._settled = True

    def reached(self, position: Position, delivered: Transition | None = None) -> None:
        """Note the settled position and a transition shortly before it, in memory only."""
        self.position = max(self.position, position)
        self._delivered = delivered or self._delivered

    def drained(self, window: Window) -> None:
        """Note the position of a session that ends, and the messages it leaves in flight."""
        self.reached(window.advance(), window.delivered)
        self.unacknowledged = window.count

    def lose(self, gap: Gap) -> None:
        """Store a gap, to be published from the jobs' history before the stream resumes."""
        self._save_now(gap=self.gap.extended_by(gap) if self.gap else gap)

    def keep(self) -> None:
        """Renew the ownership when that is due. Raises ``Fenced`` when another owns it."""
        if self._is_unconfirmed():
            self._finish_save()
        if self._is_unconfirmed():
            self.renew()

    def renew(self) -> None:
        """Renew the ownership now. Raises the store's errors; ``Fenced`` when another owns it."""
        self._finish_save()
        started = self._clock.monotonic()
        self._store.renew()
        self._renewed = started

    def start_sending(self, newest: Position) -> None:
        """Store that messages may be sent after the checkpoint, unless it says so already.

        Args:
            newest: The position after all writes so far.
        """
        if self.may_have_sent:
            self._sent_before = newest
        self._sends = True
        if self._stored.clean or self._stored.unconfirmed:
            self._save_now()

    def save(self) -> None:
        """Store the settled position now, and whether everything that was sent is settled."""
        self._finish_save()
        clean = not self.may_have_sent
        if self.position > self._stored.position or clean != self._stored.clean:
            self._save_now(clean=clean)

    def _save_now(self, *, clean: bool = False, gap: Gap | None = None) -> None:
        self._finish_save()
        self._start_save(clean=clean, gap=gap)
        self._finish_save()

    def _due(self) -> bool:
        elapsed = self._clock.monotonic() - self._saved
        return self.position > self._stored.position and self._policy.due(
            elapsed, settled=self._settled
        )

    def _is_unconfirmed(self) -> bool:
        """Return whether the store has confirmed nothing for a third of the lease."""
        return self._clock.monotonic() - self._renewed >= self._renew_seconds

    def _start_save(self, *, clean: bool = False, gap: Gap | None = None) -> None:
        checkpoint = replace(self._stored, sequence=self._sequence).moved(
            self.position,
            self._clock.now(),
            self._delivered,
            offsets=self.offsets.at(self.position),
            clean=clean,
        )
        checkpoint = replace(checkpoint, gap=gap) if gap else checkpoint
        self._sequence = checkpoint.sequence
        started = self._clock.monotonic()
        outcome = self._executor.submit(self._store.save, checkpoint)
        self._saving = _Save(checkpoint, started, self._settled, outcome)
        self._settled = False

    def _finish_save(self) -> None:
        """Wait for the save that is being made, if any."""
        if self._saving is None:
            return
        saving, self._saving = self._saving, None
        try:
            saving.outcome.result()
        except BaseException:
            self._settled = self._settled or saving.settled
            raise
        self._stored = saving.checkpoint
        # The store's answer proves the ownership at least up to the moment of the request.
        self._saved = saving.started
        self._renewed = saving.started
        self._counters.checkpoints += 1
