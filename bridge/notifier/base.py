"""The part that both notifiers share: arguments, life and messages."""

import os
import threading
from typing import TYPE_CHECKING, Any, Literal

from bridge.delivery.synchronous import send_failed
from bridge.errors import Misconfigured, SendFailed
from bridge.model.message import MessageFormat
from bridge.model.transition import NOTIFY, Transition
from bridge.model.window import Delivery
from bridge.notifier.arguments import count_of, seconds_of, settings_of, text_of
from bridge.notifier.counts import NotifierCounts
from bridge.notifier.pending import PendingMessage
from bridge.notifier.worker import ProducerWorker

if TYPE_CHECKING:
    from bridge.notifier.metrics import NotifierCollector

_UNKNOWN = "Whether Kafka has the message is unknown, and it is not sent again automatically"
_UNSENT = "The message was not sent, and it is not sent later"
_SEND_AGAIN = "Check Kafka, then call notify() again: consumers recognise duplicates by trans_id"


class NotifierBase:
    """See :class:`bridge.notifier.notifier.Notifier` for the arguments."""

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
        self._starting = threading.Lock()
        self._process: int | None = None

    @property
    def topic(self) -> str:
        """The topic that messages are sent to."""
        return self._message_format.topic

    @property
    def lost(self) -> int:
        """The number of messages that failed without a caller to raise the error.

        In mode fire-and-forget, or of cancelled calls.
        """
        return self._worker.lost

    def counts(self) -> NotifierCounts:
        """Return the numbers of messages so far."""
        return self._worker.counts()

    def collector(self, *others: "NotifierBase") -> "NotifierCollector":
        """Return a collector of metrics; the host registers it with ``prometheus_client``.

        A registry accepts one collector only: it covers this notifier and ``others``.
        """
        from bridge.notifier.metrics import NotifierCollector

        return NotifierCollector(self, *others)

    def _open(self) -> None:
        with self._starting:
            if self._process is not None:
                raise RuntimeError(
                    "This Notifier was started before and cannot be started again: "
                    "make a new Notifier"
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

    def _close(self) -> None:
        """Wait for messages in flight, then close; does nothing if it is not open."""
        if self._process == os.getpid():
            self._worker.drain(self._timeout_seconds)
            self._worker.close()

    def _submit(self, transition: Transition) -> PendingMessage:
        if not isinstance(transition, Transition):
            raise TypeError(f"transition is {transition!r:.100}, not a Transition")
        for name in ("job_id", "state", "time", "trans_id"):
            text_of(name, getattr(transition, name))
        message = self._message_format.message(transition, NOTIFY)
        delivery = Delivery(None, message.size(), item=transition)
        pending = PendingMessage(message, delivery, awaited=self._synchronous)
        # Threads do not survive a fork.
        if self._worker.accepting and os.getpid() != self._process:
            raise RuntimeError(
                "This Notifier was started before this process was forked, "
                "and nothing was sent: start a Notifier in each process"
            )
        return pending

    def _raise_failure(self, pending: PendingMessage) -> None:
        error = self._worker.answer_of(pending, self._timeout_seconds)
        if isinstance(error, SendFailed):
            raise error
        if error is not None:
            raise send_failed(
                pending.delivery.item,
                error.what,
                _UNKNOWN if pending.handed_over else _UNSENT,
                _SEND_AGAIN,
            ) from error
