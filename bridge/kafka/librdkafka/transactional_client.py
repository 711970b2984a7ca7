"""A client of librdkafka with one transactional id.

- All calls that wait for a broker run on a daemon thread, with deadlines of the bridge around them:
  librdkafka does not always keep its own.
- The same thread polls. A commit waits for the reports of all messages; if another thread served
  the last of them, the commit would wait for a further report until the end of its poll (10 ms).
- librdkafka starts a transaction without a request to a broker. So the next is started as soon as
  the last has ended, and ``begin`` of the producer never waits.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
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
from bridge.kafka.librdkafka.client_thread import ClientThread, Deadline, FirstFailure
from bridge.kafka.librdkafka.errors import UNAVAILABLE_COORDINATOR, is_lasting

#: How long a call of ``init_transactions`` takes: a wrong password is noticed between two.
_INIT_CALL_SECONDS = 1.0
#: The answers of a coordinator that starts, or that ends the former producer's transaction.
_PASSING = UNAVAILABLE_COORDINATOR | {
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError.CONCURRENT_TRANSACTIONS,
}


@dataclass(slots=True)
class Transaction:
    """A transaction that was started; ``open`` until its commit is answered."""

    open: bool = True


class TransactionalClient:
    """A client under a transactional id; after any failure it is discarded."""

    def __init__(
        self,
        options: Mapping[str, Any],
        transactional_id: str,
        failure: FirstFailure,
        *,
        latest_warning: LatestWarning,
    ) -> None:
        self._failure = failure
        self._latest_warning = latest_warning
        self._support = SupportLogger(latest_warning)
        self.producer = Producer(
            {
                **options,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": timeouts.milliseconds(timeouts.TRANSACTION_SECONDS),
                "socket.timeout.ms": timeouts.milliseconds(timeouts.TRANSACTION_REQUEST_SECONDS),
                "debug": DEBUG,
            },
            logger=self._support,
        )
        self._thread = ClientThread(self.producer, failure)

    def init(self, seconds: float) -> Future[None]:
        """Take over the transactional id and end its former transaction."""
        deadline = Deadline(time.monotonic() + seconds, self._unanswered_init)
        return self._thread.call(lambda: self._init(deadline.at), deadline)

    def serve(self) -> None:
        """Serve the reports of the messages that were given to ``producer``."""
        self._thread.serve()

    def commit(self, transaction: Transaction) -> Future[None]:
        """Commit when every message is acknowledged."""
        deadline = Deadline(time.monotonic() + timeouts.COMMIT_SECONDS, self._unanswered_commit)
        return self._thread.call(lambda: self._commit(transaction, deadline.at), deadline)

    def discard(self) -> None:
        """End its thread and its requests; never waits."""
        self._thread.close()
        threading.Thread(
            target=_abandon, args=(self.producer,), name="transactions-close", daemon=True
        ).start()

    def _init(self, deadline: float) -> None:
        producer = self.producer
        while True:
            try:
                producer.init_transactions(_INIT_CALL_SECONDS)
                break
            except KafkaException as error:
                producer.poll(0)  # delivers the warnings
                if error.args[0].code() not in _PASSING or time.monotonic() >= deadline:
                    raise
                if self._thread.closed or is_lasting(self._latest_warning.recent()):
                    raise
        producer.poll(0)
        if self._support.too_old:
            raise old_broker_error(self._support.too_old)
        producer.begin_transaction()

    def _commit(self, transaction: Transaction, deadline: float) -> None:
        repeated = False
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                self.producer.commit_transaction(min(left, timeouts.COMMIT_CALL_SECONDS))
                break
            except KafkaException as error:
                if error.args[0].code() != KafkaError._TIMED_OUT or self._thread.closed:
                    raise
                if time.monotonic() >= deadline:
                    raise self._unanswered_commit() from error
            repeated = True
        transaction.open = False
        if repeated:
            # A late request must not end the next transaction: the next producer has a new epoch.
            self._failure.note(discarded_producer_error())
        else:
            self.producer.begin_transaction()

    def _unanswered_init(self) -> BridgeError:
        text = f"init_transactions had no answer within {timeouts.INIT_SECONDS:g} s"
        return connection_error(error_text(text, self._latest_warning.recent()))

    def _unanswered_commit(self) -> BridgeError:
        return unanswered_commit_error(timeouts.COMMIT_SECONDS, self._latest_warning.recent())


def _abandon(producer: Producer) -> None:
    """Purge the messages, so that no request follows; it ends with its last reference."""
    with suppress(KafkaException):
        producer.purge(blocking=False)
        producer.flush(0)
