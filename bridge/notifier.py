"""Tells Kafka of one state change from inside a service, with the bridge's own message and producer.

For services that do not want to wait for a bridge beside their MongoDB: the two ways of the design of
the CDM Task Service's notifications that need nothing but Kafka, synchronous and fire and forget.
"""

import logging
import threading
import time
from collections import deque
from contextlib import ExitStack
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Literal, Self

from bridge.config import load
from bridge.errors import BridgeError, Misconfigured, Retryable, SendFailed
from bridge.model.message import Message, MessageFormat
from bridge.model.policy import Backoff
from bridge.model.transition import NOTIFY, Transition, made_trans_id
from bridge.model.window import Delivery
from bridge.pipeline.onebyone import send_failed
from bridge.sink.driver import driver_of

logger = logging.getLogger("bridge")

_PULSE_SECONDS = 0.25
_JOIN_SECONDS = 30.0
#: Somebody may be waiting: the next try is never far away.
_MOST_SECONDS = 2.0


class _Letter:
    """One message on its way, and what became of it."""

    __slots__ = ("delivery", "done", "error", "message")

    def __init__(self, message: Message, delivery: Delivery) -> None:
        self.message, self.delivery = message, delivery
        self.done = threading.Event()
        self.error: BridgeError | None = None


class Notifier:
    """Sends one message a state change; a context manager, safe to use from many threads.

    ``mode = "synchronous"``: ``notify`` returns when the broker has the message, and raises
    :class:`~bridge.errors.SendFailed` when it has not within ``timeout_seconds``. Whether it is there is
    unknown then, so a caller that tries again may send it twice; its producer is discarded, and others on their
    way fail with it. ``"fire-and-forget"``: ``notify`` returns at
    once, whatever Kafka does; what fails or finds no room within ``window_messages`` is counted in ``lost`` and logged.

    Other keywords are the settings of the section ``kafka``: ``driver``, ``headers``, ``security_protocol``,
    ``sasl_username``... Entering a synchronous one connects, and raises
    :class:`~bridge.errors.BridgeError` when the topic is not there or Kafka cannot be reached.

    >>> with Notifier("localhost:9092", "job-transitions") as notifier:
    ...     notifier.notify("job-1", "complete", datetime.now(timezone.utc), "0b1f7a52-...")
    """

    def __init__(
        self, bootstrap_servers: str = "localhost:9092", topic: str = "job-transitions", *,
        mode: Literal["synchronous", "fire-and-forget"] = "synchronous", timeout_seconds: float = 35.0,
        window_messages: int = 10_000, source: str = "job-bridge", **kafka: Any,
    ) -> None:
        if mode not in ("synchronous", "fire-and-forget"):
            raise Misconfigured(f"mode = {mode!r} is neither synchronous nor fire-and-forget", "Nothing was sent")
        given = {"bootstrap_servers": bootstrap_servers, "topic": topic, **kafka}
        config = self._config = load(None, {f"kafka.{name}": value for name, value in given.items()}, {})
        self._waits, self._seconds, self._most = mode == "synchronous", timeout_seconds, window_messages
        self._form = MessageFormat(topic, source, cloudevents=config.kafka.headers == "cloudevents")
        self._driver = driver_of(config)
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._asked: deque[_Letter] = deque()
        self._flight: deque[_Letter] = deque()
        self._closing, self._give_up = threading.Event(), threading.Event()
        self._opened = threading.Event()
        self._failure: BridgeError | None = None
        self._worker = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._backlog = 0
        #: Messages that were dropped or failed, in mode fire-and-forget.
        self.lost = 0

    def __enter__(self) -> Self:
        self._worker.start()
        if self._waits:
            self._opened.wait()
            if self._failure is not None:
                self._close()
                raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is on its way, ``timeout_seconds`` at most."""
        deadline = time.monotonic() + self._seconds
        while self._backlog and time.monotonic() < deadline:
            self._wake.set()
            time.sleep(0.01)
        self._close()

    def notify(self, job_id: str, state: str, time: datetime, trans_id: str = "") -> None:
        """Send one state change; ``time`` has a zone, ``trans_id`` is made of the rest where it is empty.

        Raises ``ValueError`` for a time without zone; in mode synchronous :class:`SendFailed`, which names the job, the
        state and the cause. Messages of one job arrive in the order of their calls.
        """
        self.send(_transition(job_id, state, time, trans_id))

    def send(self, transition: Transition) -> None:
        """The same for a transition as it was read; see ``notify``."""
        letter = self._letter(transition)
        with self._lock:
            if not self._waits and self._backlog >= self._most:
                self._lose(1, "there is no room for more on their way")
                return
            self._backlog += 1
            self._asked.append(letter)
        self._wake.set()
        if self._waits:
            self._await(letter)

    def _letter(self, transition: Transition) -> _Letter:
        message = self._form.message(transition, NOTIFY)
        return _Letter(message, Delivery(None, message.size(), 0.0, None, transition))

    def _await(self, letter: _Letter) -> None:
        if not letter.done.wait(self._seconds):
            # The producer never gives a message up; so it is discarded, with what is in its buffers.
            self._give_up.set()
            self._wake.set()
            raise send_failed(letter.delivery, f"Kafka did not acknowledge it within {self._seconds:g} s")
        if letter.error is not None:
            raise send_failed(letter.delivery, letter.error.what) from letter.error

    def _run(self) -> None:
        """Own the producer: open it, feed it, and make a new one after each failure."""
        backoff, tries = Backoff(most=_MOST_SECONDS), 0
        while not self._closing.is_set():
            try:
                with ExitStack() as stack:
                    sink = stack.enter_context(self._driver.sink(self._config, self._form.dead_letter_topic, self._wake))
                    self._opened.set()
                    tries = 0
                    self._work(sink)
            except BridgeError as error:
                tries += 1
                self._failed(error)
                self._closing.wait(backoff.wait(tries))
            except Exception as error:  # the thread must not die unnoticed
                logger.exception("the notifier failed")
                self._failed(BridgeError(f"bug in the notifier: {type(error).__name__}: {error}"))
                self._closing.wait(1)

    def _work(self, sink: Any) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            if self._give_up.is_set():
                raise Retryable("Kafka did not acknowledge a message in time", part="kafka")
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            self._flight.extend(asked)
            if asked:
                sink.send([(one.message, one.delivery) for one in asked])
            self._answered(sink.settled())
            if not self._asked:
                self._wake.wait(_PULSE_SECONDS)

    def _answered(self, deliveries: Any) -> None:
        for delivery in deliveries:
            delivery.settled = True
        if deliveries:
            left = deque(one for one in self._flight if not one.delivery.settled)
            for one in self._flight:
                if one.delivery.settled:
                    one.done.set()
            with self._lock:
                self._backlog -= len(self._flight) - len(left)
            self._flight = left

    def _failed(self, error: BridgeError) -> None:
        """Everything on its way failed with the producer; what only asked to be sent too, where somebody waits for it."""
        self._give_up.clear()
        if not self._opened.is_set():
            self._failure = error
            self._opened.set()
        with self._lock:
            failed = [*self._flight, *(self._asked if self._waits else ())]
            self._flight.clear()
            if self._waits:
                self._asked.clear()
            self._backlog -= len(failed)
            if failed and not self._waits:
                self._lose(len(failed), error.what)
        for one in failed:
            one.error = error
            one.done.set()

    def _lose(self, count: int, reason: str) -> None:
        self.lost += count
        logger.warning("messages are lost, as fire-and-forget allows: %s; %d so far", reason, self.lost)

    def _close(self) -> None:
        self._closing.set()
        self._wake.set()
        self._worker.join(_JOIN_SECONDS)
        with self._lock:
            if self._backlog and not self._waits:
                self._lose(self._backlog, "the notifier was closed before Kafka acknowledged them")
            self._backlog = 0


def _transition(job_id: str, state: str, time: datetime, trans_id: str) -> Transition:
    if time.tzinfo is None:
        raise ValueError(f"time {time.isoformat()} has no zone")
    utc = time.astimezone(timezone.utc)
    text = utc.replace(microsecond=utc.microsecond // 1000 * 1000).isoformat()
    return Transition(job_id, state, text, trans_id or made_trans_id(job_id, text, state))


__all__ = ["Notifier", "SendFailed"]
