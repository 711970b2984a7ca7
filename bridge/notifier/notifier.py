"""The notifier: a worker that owns the producer, and what callers give it."""

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

from bridge.delivery.synchronous import send_failed
from bridge.errors import BridgeError, Misconfigured, Retryable
from bridge.kafka.drivers import driver_of
from bridge.model.message import Message, MessageFormat
from bridge.model.policy import Backoff
from bridge.model.transition import NOTIFY, Transition
from bridge.model.window import Delivery
from bridge.notifier.arguments import count_of, seconds_of, settings_of, text_of, transition_of

logger = logging.getLogger("bridge")

_PULSE_SECONDS = 0.25
#: What leaving takes beyond the deadline: enough to close a producer that is well.
_MOMENT_SECONDS = 1.0
#: Somebody may be waiting: the next try is never far away.
_MOST_SECONDS = 2.0

_UNKNOWN = "Whether Kafka has it is unknown, and nobody sends it again"
_UNSENT = "It was not sent, and nobody sends it later"
_AGAIN = "Look at Kafka, then send it again: consumers know a repeat by its trans_id"
_AWAY = "Check bootstrap_servers, security_protocol and that Kafka is up"


class _Pending:
    """One message on its way, and what became of it."""

    __slots__ = ("delivery", "done", "error", "handed", "message")

    def __init__(self, message: Message, delivery: Delivery) -> None:
        self.message, self.delivery = message, delivery
        self.handed = False
        self.done = threading.Event()
        self.error: BridgeError | None = None


class Notifier:
    """Sends one message a state change; a context manager, safe to use from many threads.

    ``mode = "synchronous"``: ``notify`` returns when the broker has the message, and raises
    :class:`~bridge.errors.SendFailed` when it has not within ``timeout_seconds``. Whether it is there is
    unknown then, so a caller that tries again may send it twice; the producer is discarded, and what it had not
    acknowledged to others fails too. What is asked for later has its own time. ``"fire-and-forget"``: ``notify`` returns at
    once, whatever Kafka does; what fails or finds no room within ``window_messages`` is counted in ``lost`` and logged,
    and so is why no message can be sent, once.

    Other keywords are the settings of the section ``kafka``: ``driver``, ``headers``, ``security_protocol``,
    ``sasl_username``... One that is unknown, and an argument of a wrong type, is a ``TypeError``; a wrong number a
    ``ValueError``; a wrong setting a :class:`~bridge.errors.Misconfigured`.

    It is entered once, and works inside its ``with`` block and in that process only: otherwise ``RuntimeError``. Entering a synchronous one
    connects, within ``timeout_seconds``, and raises :class:`~bridge.errors.BridgeError` when the topic is not there or
    Kafka cannot be reached. Leaving waits for what is on its way, ``timeout_seconds`` and a moment at most.

    >>> with Notifier("localhost:9092", "job-transitions") as notifier:
    ...     notifier.notify("job-1", "complete", datetime.now(timezone.utc), "0b1f7a52-...")
    """

    def __init__(
        self,
        bootstrap_servers: str = "localhost:9092",
        topic: str = "job-transitions",
        *,
        mode: Literal["synchronous", "fire-and-forget"] = "synchronous",
        timeout_seconds: float = 35.0,
        window_messages: int = 10_000,
        source: str = "job-bridge",
        **kafka: Any,
    ) -> None:
        if mode not in ("synchronous", "fire-and-forget"):
            raise Misconfigured(
                f"mode = {mode!r} is neither synchronous nor fire-and-forget", "Nothing was sent"
            )
        self._seconds, self._most = seconds_of(timeout_seconds), count_of(window_messages)
        settings = self._settings = settings_of(
            {"bootstrap_servers": bootstrap_servers, "topic": topic, **kafka}
        )
        self._waits = mode == "synchronous"
        self._form = MessageFormat(
            settings.kafka.topic,
            text_of("source", source),
            cloudevents=settings.kafka.headers == "cloudevents",
        )
        self._driver = driver_of(settings)
        self._wake, self._closing, self._tried = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        #: Guards what is asked for and on its way; notified when there is less of it.
        self._less = threading.Condition(threading.Lock())
        self._asked: deque[_Pending] = deque()
        self._flight: deque[_Pending] = deque()
        self._entered = self._inside = self._give_up = False
        #: Why there is no producer, and the kinds of reasons that were told.
        self._failure: BridgeError | None = None
        self._told: set[tuple[type[BridgeError], str]] = set()
        self._worker = threading.Thread(target=self._run, name="notifier", daemon=True)
        #: Messages that were dropped or failed, in mode fire-and-forget.
        self.lost = 0

    def __enter__(self) -> Self:
        with self._less:
            if self._entered:
                raise RuntimeError(
                    "This Notifier was entered before, and can be only once: make a new one for each with block"
                )
            self._entered, self._process = True, os.getpid()
        self._worker.start()
        try:
            if self._waits:
                self._await_producer()
        except BaseException:
            self._close()
            raise
        self._inside = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is on its way, ``timeout_seconds`` at most, and a moment for the producer to close."""
        with self._less:
            self._inside = False
            self._less.wait_for(lambda: not self._backlog(), self._seconds)
        self._close()

    def notify(self, job_id: str, state: str, time: datetime, trans_id: str = "") -> None:
        """Send one state change; ``time`` has a zone, ``trans_id`` is made of the rest where it is empty.

        Raises ``ValueError`` for a time without zone and an empty job id or state, ``TypeError`` for what is no text or
        no time, ``RuntimeError`` outside of the ``with`` block; in mode synchronous :class:`SendFailed`, which names the
        job, the state and the cause. Messages of one job arrive in the order of their calls.
        """
        self.send(transition_of(job_id, state, time, trans_id))

    def send(self, transition: Transition) -> None:
        """The same for a transition as it was read; see ``notify``."""
        one = self._pending(transition)
        if self._inside and os.getpid() != self._process:  # threads do not come along
            raise RuntimeError(
                "This Notifier was entered by the process that this one was forked from, and nothing was sent: enter one in each process"
            )
        with self._less:
            if not self._inside:
                raise RuntimeError(
                    "This Notifier is not open, and nothing was sent: use it inside a with block"
                )
            if not self._waits and self._backlog() >= self._most:
                self._lose(1, "there is no room for more on their way")
                return
            self._asked.append(one)
        self._wake.set()
        if self._waits:
            self._await(one)

    def _pending(self, transition: Transition) -> _Pending:
        if not isinstance(transition, Transition):
            raise TypeError(f"transition is {transition!r:.100}, not a Transition")
        for name in ("job_id", "state", "time", "trans_id"):
            text_of(name, getattr(transition, name))
        message = self._form.message(transition, NOTIFY)
        return _Pending(message, Delivery(None, message.size(), item=transition))

    def _backlog(self) -> int:
        return len(self._asked) + len(self._flight)

    def _await(self, one: _Pending) -> None:
        one.done.wait(self._seconds)
        with self._less:
            error = one.error if one.done.is_set() else self._overdue(one)
        if error is not None:
            raise send_failed(
                one.delivery.item, error.what, _UNKNOWN if one.handed else _UNSENT, _AGAIN
            ) from error

    def _overdue(self, one: _Pending) -> BridgeError:
        if one.handed:
            # The producer never gives a message up; so it is discarded, with what is in its buffers.
            self._give_up = True
            self._wake.set()
        else:
            self._asked.remove(one)
        why = f": {self._failure.what}" if self._failure else ""
        return Retryable(
            f"Kafka did not acknowledge it within {self._seconds:g} s{why}", part="kafka"
        )

    def _await_producer(self) -> None:
        tried = self._tried.wait(self._seconds)
        failure = self._failure
        if not tried:
            servers = self._settings.kafka.bootstrap_servers
            failure = Retryable(
                f"Kafka is out of reach: no answer from {servers} within {self._seconds:g} s",
                part="kafka",
            )
        if failure is not None:
            raise _without_bridge(failure, "Nothing was sent") from failure

    def _run(self) -> None:
        """Own the producer: open it, feed it, and make a new one after each failure."""
        backoff, tries = Backoff(max_seconds=_MOST_SECONDS), 0
        while not self._closing.is_set():
            try:
                with _translated(), self._driver.sink(self._settings, None, self._wake) as sink:
                    tries = 0
                    self._feed(sink)
            except BridgeError as error:
                self._not_open(error)
            tries += 1
            self._closing.wait(backoff.wait(tries))

    def _feed(self, sink: Any) -> None:
        """Hand over until it fails or is closed; what was handed over fails before the producer is closed, which may take long."""
        self._failure = None
        self._told.clear()
        self._tried.set()
        try:
            with _translated():
                while not self._closing.is_set():
                    self._turn(sink)
        except BridgeError as error:
            with self._less:
                self._fail(self._flight, error)

    def _turn(self, sink: Any) -> None:
        self._wake.clear()
        if asked := self._taken():
            sink.send([(one.message, one.delivery) for one in asked])
        self._answered(sink.settled())
        if not self._asked:
            self._wake.wait(_PULSE_SECONDS)

    def _taken(self) -> list[_Pending]:
        """What was asked for, now on its way. Under one lock with giving up: nothing goes to a producer that is given up."""
        with self._less:
            if self._give_up:
                raise Retryable(
                    "the producer was discarded, since Kafka did not acknowledge another message in time",
                    part="kafka",
                )
            asked = list(self._asked)
            self._asked.clear()
            self._flight.extend(asked)
            for one in asked:
                one.handed = True
        return asked

    def _answered(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            delivery.settled = True
        if not deliveries:
            return
        with self._less:
            for one in self._flight:
                if one.delivery.settled:
                    one.done.set()
            self._flight = deque(one for one in self._flight if not one.delivery.settled)
            self._less.notify_all()

    def _not_open(self, error: BridgeError) -> None:
        """There is no producer: who waits learns of it at his time, or at once where waiting does not help."""
        with self._less:
            self._failure = error
            if self._waits and not isinstance(error, Retryable):
                self._fail(self._asked, error)
        self._tried.set()
        kind = (type(error), error.todo)
        if not self._waits and not self._closing.is_set() and kind not in self._told:
            self._told.add(kind)
            logger.warning(
                "%s",
                _without_bridge(
                    error, f"Up to {self._most} messages wait, and it is tried again by itself"
                ),
            )

    def _fail(self, pending: deque[_Pending], error: BridgeError) -> None:
        failed = list(pending)
        pending.clear()
        self._give_up = False
        if failed and not self._waits:
            self._lose(len(failed), error.what)
        for one in failed:
            one.error = error
            one.done.set()
        self._less.notify_all()

    def _lose(self, count: int, reason: str) -> None:
        self.lost += count
        logger.warning(
            "messages are lost, as fire-and-forget allows: %s; %d so far", reason, self.lost
        )

    def _close(self) -> None:
        self._closing.set()
        self._wake.set()
        # A worker that still looks for Kafka then, or cannot close, is left behind: it sends nothing any more.
        self._worker.join(_MOMENT_SECONDS)
        with self._less:
            left = deque([*self._flight, *self._asked])
            self._flight.clear()
            self._asked.clear()
            self._fail(
                left,
                Retryable("the notifier was closed before Kafka acknowledged them", part="kafka"),
            )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:  # the thread must not die unnoticed
        logger.exception("the notifier failed")
        raise BridgeError(f"bug in the notifier: {type(error).__name__}: {error}") from error


def _without_bridge(error: BridgeError, data: str) -> BridgeError:
    """The same failure, without what is true of a running bridge only."""
    return type(error)(
        error.what, data, _AWAY if isinstance(error, Retryable) else error.todo, part=error.part
    )
