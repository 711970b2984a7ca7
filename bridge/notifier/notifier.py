"""The notifier: sends a message for each state change from inside a service."""

from datetime import datetime
from types import TracebackType
from typing import Self

from bridge.model.transition import Transition
from bridge.notifier.arguments import transition_of
from bridge.notifier.base import NotifierBase


class Notifier(NotifierBase):
    """Sends a message for each state change; a context manager, safe to use from many threads.

    The modes:

    - ``synchronous``: ``notify`` returns when Kafka has acknowledged the message. Otherwise it
      raises :class:`~bridge.errors.SendFailed` after ``timeout_seconds``. It is then unknown
      whether Kafka has the message, so another attempt may duplicate it. The producer is discarded,
      and its other unacknowledged messages fail too.
    - ``fire-and-forget``: ``notify`` returns at once. A message that fails, or exceeds
      ``window_messages``, is counted in ``lost``. The first failure is logged at once, and that
      Kafka has acknowledged nothing for 10 s; then at most a line each 30 s.

    A Notifier can be started once, by ``start`` or its ``with`` block, and works only until it is
    closed and in the process that started it; otherwise it raises ``RuntimeError``. Starting a
    synchronous Notifier connects to Kafka.

    It changes no class, logger or other Kafka client of its process.

    Args:
        bootstrap_servers: Kafka's addresses, ``host:port`` separated by commas.
        topic: The topic to send to.
        mode: ``synchronous`` or ``fire-and-forget``.
        timeout_seconds: How long to wait for Kafka.
        window_messages: The largest number of unacknowledged messages. A message above it is not
            sent: it is lost in mode fire-and-forget, and ``SendFailed`` in mode synchronous.
        source: The CloudEvents source of the messages.
        kafka: Other settings of the section ``kafka``: ``driver``, ``headers``,
            ``security_protocol``, ``sasl_username`` and so on.

    Raises:
        TypeError: An argument is unknown or of a wrong type.
        ValueError: A number is out of range, or ``source`` cannot be encoded in UTF-8.
        Misconfigured: A setting is not valid.
        BridgeError: Kafka is unreachable or the topic does not exist; on starting, if synchronous.

    >>> with Notifier("localhost:9092", "job-transitions") as notifier:
    ...     notifier.notify("job-1", "complete", datetime.now(timezone.utc), "0b1f7a52-...")
    """

    def start(self) -> None:
        """Start to accept messages; if synchronous, connect to Kafka first."""
        self._open()

    def close(self) -> None:
        """Wait for messages in flight, for ``timeout_seconds`` and a moment at most."""
        self._close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def notify(self, job_id: str, state: str, time: datetime, trans_id: str = "") -> None:
        """Send a state change; messages of a job arrive in the order of the calls.

        Args:
            job_id: Not empty; the key of the message.
            state: Not empty.
            time: With a time zone.
            trans_id: The identity of the transition; generated if empty.

        Raises:
            TypeError: An argument is of a wrong type.
            ValueError: An argument is empty or cannot be encoded in UTF-8, or the time has no
                zone.
            RuntimeError: The Notifier is not open in this process.
            SendFailed: In mode synchronous; names the job, the state and the cause.
            MessageTooLarge: A ``SendFailed``: the topic accepts no message of this size.
        """
        self.send(transition_of(job_id, state, time, trans_id))

    def send(self, transition: Transition) -> None:
        """Send a transition that was read from a job. Raises as :meth:`notify` does."""
        pending = self._submit(transition)
        self._worker.submit(pending)
        if self._synchronous:
            pending.done.wait(self._timeout_seconds)
            self._raise_failure(pending)
