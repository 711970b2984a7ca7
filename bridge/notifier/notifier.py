"""The notifier: sends a message for each state change from inside a service."""

import os
import threading
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

from bridge.delivery.synchronous import send_failed
from bridge.errors import Misconfigured
from bridge.model.message import MessageFormat
from bridge.model.transition import NOTIFY, Transition
from bridge.model.window import Delivery
from bridge.notifier.arguments import count_of, seconds_of, settings_of, text_of, transition_of
from bridge.notifier.worker import PendingMessage, ProducerWorker

_UNKNOWN = "Whether Kafka has the message is unknown, and it is not sent again automatically"
_UNSENT = "The message was not sent, and it is not sent later"
_SEND_AGAIN = "Check Kafka, then call notify() again: consumers recognise duplicates by trans_id"


class Notifier:
    """Sends a message for each state change; a context manager, safe to use from many threads.

    The modes:

    - ``synchronous``: ``notify`` returns when Kafka has acknowledged the message. Otherwise it
      raises :class:`~bridge.errors.SendFailed` after ``timeout_seconds``. It is then unknown
      whether Kafka has the message, so another attempt may duplicate it. The producer is discarded,
      and its other unacknowledged messages fail too.
    - ``fire-and-forget``: ``notify`` returns at once. A message that fails, or exceeds
      ``window_messages``, is counted in ``lost`` and logged. The reason why no message can be sent
      is logged once.

    A Notifier can be entered once, and works only inside its ``with`` block and in the process that
    entered it; otherwise it raises ``RuntimeError``. Entering a synchronous Notifier connects to
    Kafka. Leaving waits for messages in flight, for ``timeout_seconds`` and a moment at most.

    It changes no class, logger or other Kafka client of its process.

    Args:
        bootstrap_servers: Kafka's addresses, ``host:port`` separated by commas.
        topic: The topic to send to.
        mode: ``synchronous`` or ``fire-and-forget``.
        timeout_seconds: How long to wait for Kafka.
        window_messages: The largest number of messages in flight, in mode fire-and-forget.
        source: The CloudEvents source of the messages.
        kafka: Other settings of the section ``kafka``: ``driver``, ``headers``,
            ``security_protocol``, ``sasl_username`` and so on.

    Raises:
        TypeError: An argument is unknown or of a wrong type.
        ValueError: A number is out of range.
        Misconfigured: A setting is not valid.
        BridgeError: Kafka is unreachable or the topic does not exist; on entering, if synchronous.

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
        self._synchronous = mode == "synchronous"
        self._timeout_seconds = seconds_of(timeout_seconds)
        max_messages = count_of(window_messages)
        settings = settings_of({"bootstrap_servers": bootstrap_servers, "topic": topic, **kafka})
        self._message_format = MessageFormat(
            settings.kafka.topic,
            text_of("source", source),
            cloudevents=settings.kafka.headers == "cloudevents",
        )
        self._worker = ProducerWorker(
            settings, max_messages=max_messages, synchronous=self._synchronous
        )
        self._entering = threading.Lock()
        self._process: int | None = None

    @property
    def lost(self) -> int:
        """The number of messages that failed or found no room, in mode fire-and-forget."""
        return self._worker.lost

    def __enter__(self) -> Self:
        with self._entering:
            if self._process is not None:
                raise RuntimeError(
                    "This Notifier was entered before and cannot be entered again: "
                    "make a new Notifier for each with block"
                )
            self._process = os.getpid()
        self._worker.start()
        try:
            if self._synchronous:
                self._worker.await_producer(self._timeout_seconds)
        except BaseException:
            self._worker.close()
            raise
        self._worker.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._worker.drain(self._timeout_seconds)
        self._worker.close()

    def notify(self, job_id: str, state: str, time: datetime, trans_id: str = "") -> None:
        """Send a state change; messages of a job arrive in the order of the calls.

        Args:
            job_id: Not empty; the key of the message.
            state: Not empty.
            time: With a time zone.
            trans_id: The identity of the transition; generated if empty.

        Raises:
            TypeError: An argument is of a wrong type.
            ValueError: An argument is empty, or the time has no zone.
            RuntimeError: The Notifier is not open in this process.
            SendFailed: In mode synchronous; names the job, the state and the cause.
        """
        self.send(transition_of(job_id, state, time, trans_id))

    def send(self, transition: Transition) -> None:
        """Send a transition that was read from a job. Raises as :meth:`notify` does."""
        pending = self._pending(transition)
        # Threads do not survive a fork.
        if self._worker.accepting and os.getpid() != self._process:
            raise RuntimeError(
                "This Notifier was entered before this process was forked, "
                "and nothing was sent: enter a Notifier in each process"
            )
        self._worker.submit(pending)
        if self._synchronous:
            self._await(pending)

    def _pending(self, transition: Transition) -> PendingMessage:
        if not isinstance(transition, Transition):
            raise TypeError(f"transition is {transition!r:.100}, not a Transition")
        for name in ("job_id", "state", "time", "trans_id"):
            text_of(name, getattr(transition, name))
        message = self._message_format.message(transition, NOTIFY)
        return PendingMessage(message, Delivery(None, message.size(), item=transition))

    def _await(self, pending: PendingMessage) -> None:
        error = self._worker.await_answer(pending, self._timeout_seconds)
        if error is not None:
            raise send_failed(
                pending.delivery.item,
                error.what,
                _UNKNOWN if pending.handed_over else _UNSENT,
                _SEND_AGAIN,
            ) from error
