"""Stores the settled position when it is due, and keeps the ownership of the checkpoint."""

from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, replace

from bridge.errors import BridgeError
from bridge.model.checkpoint import Checkpoint
from bridge.model.gap import Gap
from bridge.model.policy import CheckpointPolicy
from bridge.model.position import Position
from bridge.model.transition import Poison, Transition
from bridge.model.window import Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.offset_marks import OffsetMarks
from bridge.pipeline.ports import CheckpointStore, Transactions


@dataclass(frozen=True, slots=True)
class _Save:
    """A checkpoint that is being stored.

    Attributes:
        started: When it was handed to the store, in monotonic seconds.
        settled: Whether messages were settled since the save before.
        renews: Whether the store renews the ownership with it.
    """

    checkpoint: Checkpoint
    started: float
    settled: bool
    outcome: Future[None]
    renews: bool = True


class Progress:
    """The only writer of the checkpoint while the bridge runs.

    It outlives the sessions: the next session starts at ``position``, which is at or after the
    stored one and never moves backwards. A save runs on ``executor``, never two at once, so that no
    message waits for the store; the next call that finds it finished raises its error.

    With transactions, a checkpoint is stored with the messages before its position: ``commit`` is
    for the sink that groups them, and nothing else is stored meanwhile.

    Attributes:
        position: The settled position.
        offsets: Finds the offsets in the topic that belong to the position.
        unacknowledged: Messages that were in flight when the last session had drained.
        transactional: Whether messages and positions are stored in transactions.
        in_transaction: Whether messages wait for their transaction to be committed.
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
        self._wake = context.pulse.wake
        self._executor = executor
        self._saving: _Save | None = None
        self._saved = self._clock.monotonic()
        self._renewed = self._saved
        self._delivered = checkpoint.delivered
        self.position = checkpoint.position
        self._sent = context.sent
        #: Whether a session of this process was ready to send.
        self._sends = False
        self.offsets = OffsetMarks(checkpoint.offsets, context.sent)
        self.unacknowledged = 0
        self.transactional = policy.transactional
        self.in_transaction = False
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
        if self.transactional:
            # The topic has no message of a later position that this process sent.
            return self._sent.others > self.position
        return bool(self.unacknowledged) or self._sent.reach > self.position

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
        # A transaction has stored the position of its messages.
        self._settled = not self.transactional

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
            self._finish_renewal()
        if self._is_unconfirmed():
            self.renew()

    def renew(self) -> None:
        """Renew the ownership now. Raises the store's errors; ``Fenced`` when another owns it."""
        self._finish_renewal()
        started = self._clock.monotonic()
        self._store.renew()
        self._renewed = started

    def start_sending(self, newest: Position) -> None:
        """Store that messages may be sent after the checkpoint, unless it says so already.

        Args:
            newest: The position after all writes so far.
        """
        if self.may_have_sent:
            self._sent.others = newest
        self._sends = True
        if self.transactional:
            # Nothing of a transaction that was not committed is visible: it is not a repeat.
            self._sent.read_back = max(self._sent.read_back, self._sent.highest)
        if self._stored.unconfirmed or (self._stored.clean and not self.transactional):
            self._save_now()

    def save(self) -> None:
        """Store the settled position now, and whether everything that was sent is settled."""
        self._finish_save()
        clean = not self.may_have_sent
        if self.position > self._stored.position or clean != self._stored.clean:
            self._save_now(clean=clean)

    @property
    def saving(self) -> bool:
        """Whether a checkpoint is being stored; ``committed`` or ``remember`` notices its end."""
        return self._saving is not None

    @property
    def saves_through_sink(self) -> bool:
        """Whether a checkpoint is being stored with the producer of the sink."""
        return self.transactional and self.saving

    def commit(
        self, transactions: Transactions, position: Position, item: Transition | Poison | None
    ) -> None:
        """Add the checkpoint at ``position`` to the transaction, and start to commit it.

        Args:
            transactions: The store.
            position: The position after the last message of the transaction.
            item: The item of that message.
        """
        delivered = item if isinstance(item, Transition) else self._delivered
        checkpoint = self._next_checkpoint(position, delivered)
        transactions.stage(checkpoint)
        started = self._clock.monotonic()
        # Its answer does not confirm the membership of a group.
        self._saving = _Save(checkpoint, started, True, transactions.commit(), renews=False)
        self._wake_when_done(self._saving)

    def committed(self) -> bool:
        """Return whether the commit was answered. Raises its error, once."""
        if self._saving is not None and self._saving.outcome.done():
            self._finish_save()
        return self._saving is None

    def abandon(self) -> None:
        """Wait for a save that is under way, whatever its outcome: it is read again."""
        with suppress(BridgeError):
            self._finish_save()

    def _save_now(self, *, clean: bool = False, gap: Gap | None = None) -> None:
        self._finish_save()
        self._start_save(clean=clean, gap=gap)
        self._finish_save()

    def _due(self) -> bool:
        if self.in_transaction:
            return False  # A save would commit a part of a transaction.
        elapsed = self._clock.monotonic() - self._saved
        return self.position > self._stored.position and self._policy.due(
            elapsed, settled=self._settled
        )

    def _is_unconfirmed(self) -> bool:
        """Return whether the store has confirmed nothing for a third of the lease."""
        return self._clock.monotonic() - self._renewed >= self._renew_seconds

    def _next_checkpoint(
        self, position: Position, delivered: Transition | None, *, clean: bool = False
    ) -> Checkpoint:
        """Return the checkpoint after the latest attempt."""
        checkpoint = replace(self._stored, sequence=self._sequence).moved(
            position, self._clock.now(), delivered, offsets=self.offsets.at(position), clean=clean
        )
        if self.transactional:
            clean = checkpoint.gap is None and position >= self._sent.others
            checkpoint = replace(checkpoint, clean=clean)
        self._sequence = checkpoint.sequence
        return checkpoint

    def _start_save(self, *, clean: bool = False, gap: Gap | None = None) -> None:
        checkpoint = self._next_checkpoint(self.position, self._delivered, clean=clean)
        if gap:
            checkpoint = replace(checkpoint, gap=gap, clean=False)
        started = self._clock.monotonic()
        outcome = self._executor.submit(self._store.save, checkpoint)
        self._saving = _Save(checkpoint, started, self._settled, outcome)
        self._settled = False
        if self.transactional:
            self._wake_when_done(self._saving)

    def _wake_when_done(self, save: _Save) -> None:
        """Wake the loop: the next transaction waits for the end of ``save``."""
        save.outcome.add_done_callback(lambda _: self._wake.set())

    def _finish_renewal(self) -> None:
        """Wait for the save that is being made, if it renews the ownership."""
        if self._saving is not None and self._saving.renews:
            self._finish_save()

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
        if saving.renews:
            self._renewed = saving.started
        self._counters.checkpoints += 1
