"""The thread that owns the notifier's producer."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from bridge.clock import SystemClock
from bridge.errors import BridgeError, Retryable
from bridge.kafka.sink import KafkaSink
from bridge.model.policy import Backoff, stalled
from bridge.model.window import Delivery
from bridge.notifier.arguments import driver_for_host
from bridge.notifier.counts import NotifierCounts
from bridge.notifier.failures import for_callers, translated
from bridge.notifier.limited_log import LimitedLog
from bridge.notifier.pending import PendingMessage
from bridge.pipeline.pulse import Pulse
from bridge.settings import Settings

#: How long a healthy producer may take to close.
_CLOSE_SECONDS = 1.0
#: The longest pause between attempts to connect: a caller may be waiting.
_MAX_BACKOFF_SECONDS = 2.0


class ProducerWorker:
    """Opens a producer, gives it messages, and replaces it after each failure.

    Args:
        settings: The section ``kafka`` is used.
        max_messages: The largest number of queued messages and messages in flight.
        synchronous: Whether callers wait for the answer.
    """

    def __init__(self, settings: Settings, *, max_messages: int, synchronous: bool) -> None:
        self.accepting = False
        self.lost = 0
        self._acknowledged = 0
        self._failed = 0
        self._connected = False
        self._clock = SystemClock()
        self._log = LimitedLog(self._clock)
        self._settings = settings
        self._driver = driver_for_host(settings)
        self._max_messages = max_messages
        self._synchronous = synchronous
        #: Woken by messages and answers; stopped when the notifier is closed.
        self._pulse = Pulse(self._clock)
        #: Set after the first attempt to open a producer.
        self._attempted = threading.Event()
        #: Guards the messages; notified when some are answered.
        self._answered = threading.Condition(threading.Lock())
        self._queue: deque[PendingMessage] = deque()
        self._in_flight: deque[PendingMessage] = deque()
        self._discard_producer = False
        #: Why there is no producer.
        self._failure: BridgeError | None = None
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        """Start to open a producer."""
        self._thread.start()

    def await_producer(self, seconds: float) -> None:
        """Wait for the first producer. Raises :class:`BridgeError` if it cannot be opened."""
        attempted = self._attempted.wait(seconds)
        failure = self._failure
        if not attempted:
            servers = self._settings.kafka.bootstrap_servers
            failure = Retryable(
                f"Kafka is unreachable: no answer from {servers} within {seconds:g} s",
                part="kafka",
            )
        if failure is not None:
            raise for_callers(failure, "Nothing was sent") from failure

    def accept(self) -> None:
        """Accept messages from now on, unless a stop was requested."""
        with self._answered:
            self.accepting = not self._pulse.stop.is_set()

    def stop(self) -> None:
        """Request that the thread ends; never waits."""
        self._pulse.request_stop()

    def counts(self) -> NotifierCounts:
        """Return the numbers of messages so far."""
        with self._answered:
            connected = self._connected and not self._stall()
            return NotifierCounts(
                self._acknowledged, self._failed, self.lost, self._backlog(), connected
            )

    def submit(self, pending: PendingMessage) -> None:
        """Queue a message; one above ``max_messages`` fails at once.

        Raises ``RuntimeError`` if messages are not accepted.
        """
        with self._answered:
            if not self.accepting:
                raise RuntimeError(
                    "This Notifier is not open, and nothing was sent: "
                    "call start(), or use it inside a with block"
                )
            if self._backlog() >= self._max_messages:
                # A stuck producer is discarded here, because all its callers may be cancelled.
                self._discard_producer |= self._synchronous and bool(self._stall())
                what = f"{self._max_messages} messages are unacknowledged already"
                self._answer([pending], Retryable(what, part="kafka"))
            else:
                self._queue.append(pending)
        self._pulse.wake.set()

    def answer_of(self, pending: PendingMessage, seconds: float) -> BridgeError | None:
        """Return the answer to a message after a wait; one without an answer is given up."""
        with self._answered:
            error = pending.error if pending.done.is_set() else self._give_up(pending, seconds)
            self._failed += error is not None
        return error

    def abandon(self, pending: PendingMessage) -> None:
        """Note that no caller waits for a message any more: it counts as lost if it fails."""
        with self._answered:
            pending.awaited = False
            if pending.error is not None:
                self._count_lost(1, pending.error.what)

    def drain(self, seconds: float) -> None:
        """Accept no more messages, and wait until all are answered."""
        with self._answered:
            self.accepting = False
            self._answered.wait_for(lambda: not self._backlog(), seconds)

    def close(self) -> None:
        """Close the producer; messages that are left fail."""
        self._pulse.request_stop()
        # A thread that is still connecting, or cannot close, is abandoned: it sends nothing more.
        self._thread.join(_CLOSE_SECONDS)
        with self._answered:
            left = deque([*self._in_flight, *self._queue])
            self._in_flight.clear()
            self._queue.clear()
            self._fail(
                left,
                Retryable("the notifier was closed before Kafka acknowledged them", part="kafka"),
            )
            if self.lost:
                self._log.conclude(f"The notifier was closed; {self._losses()}")

    def _backlog(self) -> int:
        return len(self._queue) + len(self._in_flight)

    def _stall(self, complaint: Callable[[], str] = str) -> str:
        """Return that the oldest message has had no answer for long; empty if it is not so."""
        if not self._in_flight:
            return ""
        return stalled(self._clock.monotonic() - self._in_flight[0].delivery.sent, complaint)

    def _give_up(self, pending: PendingMessage, seconds: float) -> BridgeError:
        if pending.handed_over:
            # A producer never gives up a message, so it is discarded with all in its buffers.
            self._discard_producer = True
            self._pulse.wake.set()
        else:
            self._queue.remove(pending)
        cause = f": {self._failure.what}" if self._failure else ""
        return Retryable(f"Kafka did not acknowledge it within {seconds:g} s{cause}", part="kafka")

    def _run(self) -> None:
        backoff = Backoff(max_seconds=_MAX_BACKOFF_SECONDS)
        failures = 0
        while not self._pulse.stop.is_set():
            try:
                with (
                    translated(),
                    self._driver.sink(self._settings, None, self._pulse.wake) as sink,
                ):
                    failures = 0
                    self._feed(sink)
            except BridgeError as error:
                self._open_failed(error)
            failures += 1
            self._pulse.sleep(backoff.wait(failures))

    def _feed(self, sink: KafkaSink) -> None:
        """Send until the producer fails or is closed.

        Messages in flight fail before the producer is closed, which may take long.
        """
        self._failure = None
        self._connected = True
        self._attempted.set()
        try:
            with translated():
                while not self._pulse.stop.is_set():
                    self._send_and_settle(sink)
        except BridgeError as error:
            with self._answered:
                self._fail(self._in_flight, error)
        finally:
            self._connected = False

    def _send_and_settle(self, sink: KafkaSink) -> None:
        self._pulse.wake.clear()
        if messages := self._take_queue(sink.max_message_bytes(self._settings.kafka.topic)):
            sink.send([(pending.message, pending.delivery) for pending in messages])
        self._settle(sink.settled())
        self._warn_of_stall(sink)
        if not self._queue:
            self._pulse.wait_for_answers()

    def _warn_of_stall(self, sink: KafkaSink) -> None:
        """Log that Kafka acknowledges nothing, if no caller waits for an error that says so."""
        if self._synchronous:
            return
        with self._answered:
            if trouble := self._stall(sink.complaint):
                self._log.warn(f"{trouble}. {self._waiting()}")

    def _take_queue(self, max_bytes: int) -> list[PendingMessage]:
        """Move the queued messages in flight; those above ``max_bytes`` fail.

        Raises ``Retryable`` if the producer is to be discarded.
        """
        with self._answered:
            if self._discard_producer:
                raise Retryable(
                    "the producer was discarded, "
                    "since Kafka did not acknowledge another message in time",
                    part="kafka",
                )
            messages = [pending for pending in self._queue if not self._refused(pending, max_bytes)]
            self._queue.clear()
            self._in_flight.extend(messages)
            now = self._clock.monotonic()
            for pending in messages:
                pending.handed_over = True
                pending.delivery.sent = now
        return messages

    def _refused(self, pending: PendingMessage, max_bytes: int) -> bool:
        """Fail a message that the topic can never accept; messages after it are not affected."""
        error = pending.too_large(max_bytes)
        if error is None:
            return False
        self._answer([pending], error)
        return True

    def _settle(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        for delivery in deliveries:
            delivery.settled = True
        with self._answered:
            for pending in self._in_flight:
                if pending.delivery.settled:
                    self._acknowledged += 1
                    pending.answer()
            self._in_flight = deque(
                pending for pending in self._in_flight if not pending.delivery.settled
            )
            self._answered.notify_all()

    def _open_failed(self, error: BridgeError) -> None:
        """Fail waiting callers if waiting does not help; log the reason if no caller waits."""
        with self._answered:
            self._failure = error
            if self._synchronous and not isinstance(error, Retryable):
                self._fail(self._queue, error)
        self._attempted.set()
        if self._synchronous or self._pulse.stop.is_set():
            return
        with self._answered:
            self._log.warn(str(for_callers(error, self._waiting())))

    def _fail(self, messages: deque[PendingMessage], error: BridgeError) -> None:
        failed = list(messages)
        messages.clear()
        self._discard_producer = False
        self._answer(failed, error)

    def _answer(self, failed: Sequence[PendingMessage], error: BridgeError) -> None:
        """Fail messages; those that no caller waits for are lost."""
        if lost := sum(not pending.awaited for pending in failed):
            self._count_lost(lost, error.what)
        for pending in failed:
            pending.answer(error)
        self._answered.notify_all()

    def _count_lost(self, count: int, reason: str) -> None:
        self.lost += count
        self._log.warn(f"{reason}; {self._losses()}")

    def _losses(self) -> str:
        reason = "of cancelled calls" if self._synchronous else "as fire-and-forget allows"
        return f"{self.lost} messages lost so far, {reason}"

    def _waiting(self) -> str:
        lost = f"; {self._losses()}" if self.lost else ""
        return f"Up to {self._max_messages} messages wait, and the notifier retries by itself{lost}"
