"""A checkpoint store with transactions, and its sink, in memory."""

from __future__ import annotations

from concurrent.futures import Future

from bridge.errors import Retryable
from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Message
from bridge.model.window import Delivery
from tests.support.fake_kafka import FakeBroker, FakeSink
from tests.support.fake_store import FakeStore, SharedCheckpoint


class FakeTransactions(FakeStore):
    """See :class:`bridge.pipeline.ports.Transactions`; the messages of a commit become visible."""

    def __init__(self, shelf: SharedCheckpoint, broker: FakeBroker) -> None:
        super().__init__(shelf)
        self._broker = broker
        self._messages: list[Message] = []
        self._staged: Checkpoint | None = None
        self._answer: Future[None] | None = None
        self.commits: list[int] = []
        #: The sink of the session; a commit waits for its messages.
        self.sink: FakeTransactionalSink | None = None

    def add(self, message: Message) -> None:
        self._messages.append(message)

    def stage(self, checkpoint: Checkpoint) -> None:
        assert self._staged is None, "a transaction has a single checkpoint"
        self._staged = checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        assert not self._messages and self._staged is None, (
            "a save must not commit a part of a transaction"
        )
        super().save(checkpoint)

    def commit(self) -> Future[None]:
        assert self._staged is not None
        assert self._answer is None, "a single commit at a time"
        self._answer = Future()
        return self._answer

    @property
    def committing(self) -> bool:
        return self._answer is not None

    def answer(self, outcome: str) -> None:
        """Answer the commit: ``done``, ``lost`` (committed, with an error) or ``failed``."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if outcome != "failed":
            self._apply()
        self.abort()
        if outcome == "done":
            answer.set_result(None)
        else:
            answer.set_exception(Retryable("the answer to the commit was lost", part="kafka"))

    def take_over(self, *, completes: bool) -> None:
        """A successor ends the transaction; it completes a commit that the broker had accepted."""
        if completes and self._answer is not None:
            self._apply()
        self.abort()

    def abort(self) -> None:
        self._messages, self._staged, self._answer = [], None, None

    def _apply(self) -> None:
        assert self._staged is not None
        assert self.sink is not None
        self.sink.acknowledge()
        for message in self._messages:
            self._broker.partition_of(message.topic, message.key).append(message)
        self.commits.append(len(self._messages))
        self._store(self._staged)


class FakeTransactionalSink(FakeSink):
    """A sink whose messages become visible with a commit; an answer means they are in it."""

    def __init__(self, broker: FakeBroker, transactions: FakeTransactions) -> None:
        super().__init__(broker)
        self._transactions = transactions
        transactions.sink = self

    def acknowledge(self, max_messages: int = 1_000_000) -> None:
        for waiting in self._waiting.values():
            for _ in range(min(max_messages, len(waiting))):
                message, delivery = waiting.popleft()
                self._transactions.add(message)
                self._answered(delivery)

    def _answered(self, delivery: Delivery) -> None:
        self._ends[id(delivery)] = ("", 0, 0)
        self._answers.append(delivery)
