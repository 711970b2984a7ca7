"""Exactly-once: messages and the position after them are committed in a Kafka transaction."""

from collections.abc import Sequence

from bridge.clock import Clock
from bridge.errors import Retryable
from bridge.model.window import Delivery, Sending
from bridge.observability.counters import Counters
from bridge.pipeline.ports import Sink, Transactions
from bridge.pipeline.progress import Progress

#: How long a transaction may take from its last acknowledgement to the answer to its commit. The
#: store's own deadline is earlier; this one holds even if the Kafka client does not return.
COMMIT_SECONDS = 15.0
#: The size from which on no further event is added. A slow connection must send a transaction
#: before its timeout: otherwise each attempt fails in the same way.
_TRANSACTION_BYTES = 4 * 2**20


class ExactlyOnceSink:
    """Groups messages into transactions; see :class:`bridge.pipeline.ports.Sink`.

    - Group commit: while a transaction is committed, the next one fills. So a single message is
      committed at once, and a backlog in transactions as large as the window, or
      as 4 MiB.
    - A transaction consists of whole events. It contains the position after its last event.
    - Messages are settled when their transaction is committed: consumers with
      ``isolation.level = read_committed`` can read them then.

    Args:
        sink: The sink of the driver, which starts a transaction with the first message.
        transactions: The checkpoint store, which commits it.
        progress: Makes the checkpoints.
    """

    def __init__(
        self,
        sink: Sink,
        transactions: Transactions,
        progress: Progress,
        *,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._sink = sink
        self._transactions = transactions
        self._progress = progress
        self._clock = clock
        self._counters = counters
        #: The messages of the transaction, and of the next one.
        self._current: list[Sending] = []
        self._next: list[Sending] = []
        self._unacknowledged = 0
        self._started = 0.0
        self._commit_started: float | None = None
        self._failed = False
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._failed or self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        self._next += sendings
        self._start()

    def settled(self) -> Sequence[Delivery]:
        if self.broken:
            return []
        try:
            return self._settled()
        except BaseException:
            self._fail()
            raise

    def _settled(self) -> Sequence[Delivery]:
        self._unacknowledged -= len(self._sink.settled())
        if not self._current:
            self._start()
            return []
        if self._unacknowledged or not self._is_committed():
            return []
        return self._collect()

    def _is_committed(self) -> bool:
        if self._commit_started is None:
            self._progress.commit(self._transactions)
            self._commit_started = self._clock.monotonic()
        if self._progress.committed():
            return True
        if self._clock.monotonic() - self._commit_started > COMMIT_SECONDS:
            raise Retryable(
                "Kafka did not answer the commit of a transaction",
                "Nothing is lost or repeated: the stored position decides what is sent again",
                part="kafka",
            )
        return False

    def _collect(self) -> list[Delivery]:
        """Return the deliveries of the committed transaction, and start the next one."""
        committed, self._current = self._current, []
        self._commit_started = None
        self._counters.transaction(len(committed), self._clock.monotonic() - self._started)
        self._start()
        return [delivery for _, delivery in committed]

    def _start(self) -> None:
        """Start the next transaction, unless there is one or a position is being stored."""
        if not self._current and self._next and not (self._progress.saving or self.broken):
            count = _count_of_transaction(self._next)
            self._current, self._next = self._next[:count], self._next[count:]
            self._started = self._clock.monotonic()
            self._unacknowledged = len(self._current)
            try:
                self._sink.send(self._current)
                last = self._current[-1][1]
                if last.position is None:
                    raise AssertionError("a transaction ends within an event")
                self._progress.stage(self._transactions, last.position, last.item)
            except BaseException:
                self._fail()
                raise
        self._progress.in_transaction = bool(self._current or self._next)

    def _fail(self) -> None:
        if not self._failed and self._current:
            self._counters.transactions_aborted += 1
        self._failed = True


def _count_of_transaction(sendings: Sequence[Sending]) -> int:
    """Return how many of the messages the next transaction has: whole events."""
    size = 0
    for count, (_, delivery) in enumerate(sendings, 1):
        size += delivery.size
        if size >= _TRANSACTION_BYTES and delivery.position is not None:
            return count
    return len(sendings)
