"""A producer of librdkafka under a transactional id.

- All calls that wait for a broker run on a daemon thread, with deadlines of the bridge around them:
  librdkafka does not always keep its own.
- The same thread polls. A commit waits for the reports of all messages; if another thread served
  the last of them, the commit would wait for a further report until the end of its poll (10 ms).
- After an error or a deadline the producer is discarded and never used again: Kafka's transaction
  protocol 1 does not order a late request against those of a later transaction. The next producer
  of the id aborts the open transaction, or completes its commit.
- librdkafka starts a transaction without a request to a broker. So the next is started as soon as
  the last has ended, and ``begin`` never waits.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.errors import (
    connection_error,
    discarded_producer_error,
    error_text,
    old_broker_error,
    unanswered_commit_error,
)
from bridge.kafka.librdkafka.broker_support import DEBUG, SupportLogger
from bridge.kafka.librdkafka.client import connection
from bridge.kafka.librdkafka.client_thread import ClientThread, Deadline, FirstFailure
from bridge.kafka.librdkafka.errors import is_lasting
from bridge.kafka.librdkafka.producer import producer_options
from bridge.kafka.topics import Topic
from bridge.model.transactions import TransactionTotals
from bridge.settings import Settings

#: How long a call of ``init_transactions`` takes: a wrong password is noticed between two.
_INIT_CALL_SECONDS = 1.0
#: One request at a time for each partition, but partitions do not wait for each other.
_MAX_IN_FLIGHT = 5
#: The answers of a coordinator that starts, or that ends the former producer's transaction.
_PASSING = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.CONCURRENT_TRANSACTIONS,
    }
)


class TransactionalProducer:
    """A producer under a transactional id, for one ownership; after any failure it is discarded.

    Attributes:
        in_transaction: True from ``begin`` until the commit's answer.
        failure: The first error or deadline of the producer.
        latest_warning: The client's.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, Topic],
        transactional_id: str,
        *,
        latest_warning: LatestWarning,
        totals: TransactionTotals | None = None,
    ) -> None:
        self.in_transaction = False
        self.failure = FirstFailure(transactional_id, latest_warning)
        self.latest_warning = latest_warning
        self._settings = settings
        self._topics = topics
        self._transactional_id = transactional_id
        self._totals = totals or TransactionTotals()
        self._client: Producer | None = None
        self._thread: ClientThread | None = None
        self._messages = 0
        self._began_at = 0.0

    @property
    def failed(self) -> bool:
        """True after any error or deadline: only ``discard`` is allowed."""
        return self.failure.happened

    @property
    def client(self) -> Producer:
        """The client, for messages of the open transaction. Raises ``Retryable`` if discarded."""
        if self._client is None:
            raise self.failure.error()
        return self._client

    def open(self) -> None:
        """Connect, take over the transactional id, and end its former transaction.

        Raises:
            BridgeError: Then only ``discard`` is allowed. ``Misconfigured`` for brokers before 2.7.
        """
        support = SupportLogger(self.latest_warning)
        try:
            client = Producer(self._options(), logger=support)
        except KafkaException as error:
            raise self.failure.note(error) from error
        self._client = client
        self._thread = ClientThread(client, self.failure)
        deadline = Deadline(time.monotonic() + timeouts.INIT_SECONDS, self._unanswered_init)
        self._thread.call(lambda: self._init(client, support, deadline.at), deadline).result()

    def begin(self) -> None:
        """Start a transaction unless one is open. Raises the failure of the producer, if any."""
        if self.failed:
            raise self.failure.error()
        if not self.in_transaction:
            self.in_transaction = True
            self._messages = 0
            self._began_at = time.monotonic()

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        """Add a record to partition 0, as that of the position. Raises the bridge's errors."""
        self.begin()
        try:
            self.client.produce(topic, value, key, 0)
        except KafkaException as error:
            raise self.failure.note(error) from error
        self.sent(0)

    def sent(self, messages: int) -> None:
        """Count messages that were given to ``client``, and have their reports served."""
        self._messages += messages
        if self._thread is not None:
            self._thread.serve()

    def commit(self) -> Future[None]:
        """Commit when every message is acknowledged; never waits.

        A commit without an answer is repeated until its deadline, since its outcome is unknown.

        Returns:
            A future that ends within ``timeouts.COMMIT_SECONDS``; its error is a ``BridgeError``.
        """
        client, thread = self._client, self._thread
        if self.failed or client is None or thread is None:
            return _ended(self.failure.error())
        if not self.in_transaction:
            return _ended()
        deadline = Deadline(time.monotonic() + timeouts.COMMIT_SECONDS, self._unanswered_commit)
        return thread.call(lambda: self._commit(client, thread, deadline.at), deadline)

    def discard(self) -> None:
        """Give the client up, with its open transaction; never waits and never commits."""
        client, thread = self._client, self._thread
        self._client = None
        self._thread = None
        if self.in_transaction:
            self._totals.aborted += 1
        self.in_transaction = False
        self.failure.note(discarded_producer_error())
        if thread is not None:
            thread.close()
        if client is not None:
            threading.Thread(
                target=_abandon, args=(client,), name="transactions-close", daemon=True
            ).start()

    def close(self) -> None:
        """Close a producer without an open transaction; never waits."""
        self.discard()

    def _options(self) -> dict[str, Any]:
        return (
            connection(self._settings, self.latest_warning)
            | producer_options(self._settings, self._topics)
            | {
                "transactional.id": self._transactional_id,
                "transaction.timeout.ms": timeouts.milliseconds(timeouts.TRANSACTION_SECONDS),
                "socket.timeout.ms": timeouts.milliseconds(timeouts.TRANSACTION_REQUEST_SECONDS),
                "max.in.flight.requests.per.connection": _MAX_IN_FLIGHT,
                "debug": DEBUG,
            }
        )

    def _init(self, client: Producer, support: SupportLogger, deadline: float) -> None:
        while True:
            try:
                client.init_transactions(_INIT_CALL_SECONDS)
                break
            except KafkaException as error:
                client.poll(0)  # delivers the warnings
                if error.args[0].code() not in _PASSING or time.monotonic() >= deadline:
                    raise
                if is_lasting(self.latest_warning.recent()):
                    raise
        client.poll(0)
        if support.too_old:
            raise old_broker_error(support.too_old)
        client.begin_transaction()

    def _commit(self, client: Producer, thread: ClientThread, deadline: float) -> None:
        repeated = False
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                client.commit_transaction(min(left, timeouts.COMMIT_CALL_SECONDS))
                break
            except KafkaException as error:
                if error.args[0].code() != KafkaError._TIMED_OUT or thread.closed:
                    raise
                if time.monotonic() >= deadline:
                    raise self._unanswered_commit() from error
            repeated = True
        self._totals.commit(self._messages, time.monotonic() - self._began_at)
        self.in_transaction = False
        if repeated:
            # A late request must not end the next transaction: the next producer has a new epoch.
            self.failure.note(discarded_producer_error())
        else:
            client.begin_transaction()

    def _unanswered_init(self) -> BridgeError:
        text = f"init_transactions had no answer within {timeouts.INIT_SECONDS:g} s"
        return connection_error(error_text(text, self.latest_warning.recent()))

    def _unanswered_commit(self) -> BridgeError:
        return unanswered_commit_error(timeouts.COMMIT_SECONDS, self.latest_warning.recent())


def _ended(error: BridgeError | None = None) -> Future[None]:
    future = Future[None]()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


def _abandon(client: Producer) -> None:
    """Purge the messages, so that no request follows; the client ends with its last reference."""
    with suppress(KafkaException):
        client.purge(blocking=False)
        client.flush(0)
