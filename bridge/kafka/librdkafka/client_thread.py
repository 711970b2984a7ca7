"""Runs the calls of a producer that may hang, and polls it, on a daemon thread."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from bridge.errors import BridgeError
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.errors import discarded_producer_error
from bridge.kafka.librdkafka.errors import classify_transaction

logger = logging.getLogger(__name__)

#: How long a poll takes at most while messages are in flight.
_POLL_SECONDS = 0.25
#: How often to poll for warnings, and to look for a call after its deadline.
_IDLE_SECONDS = 1.0


class FirstFailure:
    """The first failure of a producer; safe to use from several threads.

    Attributes:
        happened: True after the first failure.
        wake: Is set after each failure.
    """

    def __init__(self, transactional_id: str, latest_warning: LatestWarning) -> None:
        self.happened = False
        self.wake = threading.Event()
        self._transactional_id = transactional_id
        self._latest_warning = latest_warning
        self._error: BridgeError | None = None

    def note(self, error: KafkaError | BaseException) -> BridgeError:
        """Note a failure and return the bridge's error for it."""
        classified = self.classify(error)
        self._error = self._error or classified
        self.happened = True
        self.wake.set()
        return classified

    def error(self) -> BridgeError:
        """Return the first failure, else that the producer was discarded."""
        return self._error or discarded_producer_error()

    def classify(self, error: KafkaError | BaseException) -> BridgeError:
        """Return the bridge's error for an error of the client."""
        if isinstance(error, BridgeError):
            return error
        warning = self._latest_warning.recent()
        return classify_transaction(error, self._transactional_id, warning)


class Deadline(NamedTuple):
    """When a call must have ended, by the monotonic clock, and the error if it has not."""

    at: float
    error: Callable[[], BridgeError]


class _Call(NamedTuple):
    function: Callable[[], None]
    future: Future[None]
    deadline: Deadline


class ClientThread:
    """Serves a producer's reports, and makes one call at a time when no message is in flight.

    A call that hangs is abandoned with its thread: its future ends about a second after the
    deadline. After a failure no call is made.
    """

    def __init__(self, client: Producer, failure: FirstFailure) -> None:
        self._failure = failure
        self._call: _Call | None = None
        self._work = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._run, args=(client,), name="transactions", daemon=True).start()
        threading.Thread(target=self._watch, name="transactions-watch", daemon=True).start()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def serve(self) -> None:
        """Poll until no message is in flight."""
        self._work.set()

    def call(self, function: Callable[[], None], deadline: Deadline) -> Future[None]:
        """Make a call when every message is acknowledged; its error is a ``BridgeError``."""
        future = Future[None]()
        self._call = _Call(function, future, deadline)
        self._work.set()
        return future

    def close(self) -> None:
        """End both threads and the call under way; never waits."""
        self._closed.set()
        self._work.set()

    def _run(self, client: Producer) -> None:
        while not self._closed.is_set():
            self._work.wait(_IDLE_SECONDS)
            self._work.clear()
            try:
                while len(client) and not self._closed.is_set():
                    client.poll(_POLL_SECONDS)
            except KafkaException as error:  # the client has failed
                self._failure.note(error)
            call = self._call
            if call is not None and not call.future.done():
                self._make(call)

    def _make(self, call: _Call) -> None:
        try:
            if self._failure.happened:
                raise self._failure.error()
            call.function()
        except Exception as error:
            if not isinstance(error, KafkaException | BridgeError):
                logger.exception("a call of librdkafka failed; the producer is discarded")
            _settle(call.future, self._failure.note(error))
        else:
            _settle(call.future)

    def _watch(self) -> None:
        while not self._closed.wait(_IDLE_SECONDS):
            call = self._call
            if call and not call.future.done() and time.monotonic() >= call.deadline.at:
                _settle(call.future, self._failure.note(call.deadline.error()))
        if self._call:
            _settle(self._call.future, self._failure.error())


def _settle(future: Future[None], error: BridgeError | None = None) -> None:
    """End a future that its deadline may have ended."""
    with suppress(InvalidStateError):
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
