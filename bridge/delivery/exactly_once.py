"""Exactly-once: messages and the position after them are committed in a Kafka transaction."""

from collections import deque
from collections.abc import Sequence

from bridge.clock import Clock
from bridge.errors import Retryable
from bridge.model.window import Delivery, Sending
from bridge.observability.counters import Counters
from bridge.pipeline.ports import Sink, Transactions
from bridge.pipeline.progress import Progress

#: How long a transaction may take from its start to the answer to its commit. The store's own
#: deadline is earlier; this one holds even if the Kafka client does not return.
COMMIT_SECONDS = 15.0
#: A transaction has at most about this many bytes, so that a slow network can send it in time.
MAX_BYTES = 4 * 1024 * 1024


class ExactlyOnceSink:
    """Groups messages into transactions; see :class:`bridge.pipeline.ports.Sink`.

    - Group commit: while a transaction is committed, the next one fills. So a single message is
      committed at once, and a backlog in transactions of ``MAX_BYTES``.
    - A transaction consists of whole events. It contains the position after its last event.
    - Messages are settled when their transaction is committed: consumers with
      ``isolation.level = read_committed`` can read them then.

    Args:
        sink: The sink of the driver, which starts a transaction with the first message.
        transactions: The checkpoint store. Its commit waits for the acknowledgements.
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
        #: The messages of the transaction, and those after it.
        self._current: list[Sending] = []
        self._waiting: deque[Sending] = deque()
        self._started = 0.0
        self._failed = False
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._failed or self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        self._waiting += sendings
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
        self._sink.settled()  # raises the failure of a message
        if self._current and not self._is_committed():
            return []
        committed, self._current = self._current, []
        if committed:
            self._counters.transaction(len(committed), self._clock.monotonic() - self._started)
        self._start()
        return [delivery for _, delivery in committed]

    def _is_committed(self) -> bool:
        if self._progress.committed():
            return True
        if self._clock.monotonic() - self._started > COMMIT_SECONDS:
            raise Retryable(
                "Kafka did not answer the commit of a transaction",
                "Nothing is lost or repeated: the stored position decides what is sent again",
                part="kafka",
            )
        return False

    def _start(self) -> None:
        """Start the next transaction, unless there is one or a position is being stored."""
        if not self._current and self._waiting and not (self._progress.saving or self.broken):
            try:
                self._start_transaction()
            except BaseException:
                self._fail()
                raise
        self._progress.in_transaction = bool(self._current or self._waiting)

    def _start_transaction(self) -> None:
        self._started = self._clock.monotonic()
        self._current = self._next_messages()
        self._sink.send(self._current)
        last = self._current[-1][1]
        if last.position is None:
            raise AssertionError("a transaction ends within an event")
        self._progress.commit(self._transactions, last.position, last.item)

    def _next_messages(self) -> list[Sending]:
        """Take the messages of a transaction: whole events, of about ``MAX_BYTES``."""
        messages: list[Sending] = []
        size = 0
        while self._waiting and (size < MAX_BYTES or messages[-1][1].position is None):
            messages.append(self._waiting.popleft())
            size += messages[-1][1].size
        return messages

    def _fail(self) -> None:
        if not self._failed and self._current:
            self._counters.transactions_aborted += 1
        self._failed = True
