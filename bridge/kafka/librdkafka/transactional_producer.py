"""A producer of transactions that takes two transactional ids in turn.

Kafka confirms a commit before it has written the markers of the transaction. Until then it answers
CONCURRENT_TRANSACTIONS to the next transaction of the same id, and librdkafka waits for 20 ms
before it asks again. So the next transaction uses the other id.

Both ids are taken over before the position is read, in the same order, and the first transaction
of an ownership uses the first id. So a former owner cannot commit after that read: it is fenced
from the second id, or was already from the first. The transactions stay in order, because each
starts after the answer to the commit before it.

After an error or a deadline the producer is discarded and never used again: Kafka's transaction
protocol 1 does not order a late request against those of a later transaction. The next producer of
the ids aborts the open transaction, or completes its commit.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future

from confluent_kafka import KafkaException, Producer

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.errors import discarded_producer_error
from bridge.kafka.librdkafka.client import connection
from bridge.kafka.librdkafka.client_thread import FirstFailure
from bridge.kafka.librdkafka.producer import producer_options
from bridge.kafka.librdkafka.transactional_client import Transaction, TransactionalClient
from bridge.kafka.topics import Topic
from bridge.kafka.transactional_ids import transactional_ids
from bridge.settings import Settings


class TransactionalProducer:
    """A producer under transactional ids, for one ownership; after any failure it is discarded.

    Attributes:
        failure: The first error or deadline of the producer.
        latest_warning: The clients'.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, Topic],
        transactional_id: str,
        *,
        latest_warning: LatestWarning,
    ) -> None:
        self.failure = FirstFailure(transactional_id, latest_warning)
        self.latest_warning = latest_warning
        self._settings = settings
        self._topics = topics
        self._ids = transactional_ids(transactional_id)
        self._clients: list[TransactionalClient] = []
        self._transaction = Transaction(open=False)

    @property
    def failed(self) -> bool:
        """True after any error or deadline: only ``discard`` is allowed."""
        return self.failure.happened

    @property
    def in_transaction(self) -> bool:
        """True from ``begin`` until the commit's answer."""
        return self._transaction.open

    @property
    def client(self) -> Producer:
        """The client of the open transaction, or of the last. Raises ``Retryable`` if discarded."""
        return self._client().producer

    def open(self) -> None:
        """Connect, take over the transactional ids, and end their former transactions.

        Raises:
            BridgeError: Then only ``discard`` is allowed. ``Misconfigured`` for brokers before 2.7.
        """
        options = connection(self._settings, self.latest_warning)
        options |= producer_options(self._settings, self._topics)
        deadline = time.monotonic() + timeouts.INIT_SECONDS
        try:
            for transactional_id in self._ids:
                client = TransactionalClient(
                    options,
                    transactional_id,
                    self.failure,
                    latest_warning=self.latest_warning,
                )
                self._clients.append(client)
        except KafkaException as error:
            raise self.failure.note(error) from error
        for client in self._clients:
            client.init(deadline - time.monotonic()).result()
        # The first transaction turns to the first id.
        self._clients.reverse()

    def begin(self) -> None:
        """Start a transaction if needed. Raises the failure of the producer, if any."""
        if self.failed:
            raise self.failure.error()
        if not self._transaction.open:
            self._clients.reverse()
            self._transaction = Transaction()

    def add(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Add a record to partition 0, as that of the position. Raises the bridge's errors."""
        self.begin()
        try:
            self.client.produce(topic, value, key, 0)
        except KafkaException as error:
            raise self.failure.note(error) from error
        self.serve()

    def serve(self) -> None:
        """Serve the reports of messages that were given to ``client``."""
        self._client().serve()

    def commit(self) -> Future[None]:
        """Commit when every message is acknowledged; never waits.

        A commit without an answer is repeated until its deadline, since its outcome is unknown.

        Returns:
            A future that ends within ``timeouts.COMMIT_SECONDS``; its error is a ``BridgeError``.
        """
        if self.failed or not self._clients:
            return _ended(self.failure.error())
        if not self._transaction.open:
            return _ended()
        return self._client().commit(self._transaction)

    def discard(self) -> None:
        """Give the clients up, with the open transaction; never waits and never commits."""
        self._transaction = Transaction(open=False)
        self.failure.note(discarded_producer_error())
        while self._clients:
            self._clients.pop().discard()

    def _client(self) -> TransactionalClient:
        if not self._clients:
            raise self.failure.error()
        return self._clients[0]


def _ended(error: BridgeError | None = None) -> Future[None]:
    future = Future[None]()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future
