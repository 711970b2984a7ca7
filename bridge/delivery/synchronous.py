"""Synchronous: one message at a time, each acknowledged within a deadline, or the bridge ends."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bridge.clock import Clock
from bridge.errors import BridgeError, SendFailed
from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery, Sending
from bridge.pipeline.ports import Sink

_PULSE_SECONDS = 0.25
_AGAIN = "Nothing is lost: it is sent again at the next start, and may then be there twice"
_LOOK = "Look at Kafka, then start again"


class SynchronousSink:
    """A sink whose ``send`` waits for each acknowledgement; see :class:`bridge.pipeline.ports.Sink`.

    ``meanwhile`` is called while it waits. ``seconds`` is the deadline of one message; once ``stop`` is
    set, ``drain_seconds`` at most.
    """

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        wake: threading.Event,
        seconds: float,
        *,
        stop: threading.Event,
        drain_seconds: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._sink, self._clock, self._wake, self._seconds = sink, clock, wake, seconds
        self._stop, self._drain_seconds, self._meanwhile = stop, drain_seconds, meanwhile
        self._acknowledged: list[Delivery] = []
        self.broken = False
        self.max_message_bytes = sink.max_message_bytes

    def send(self, sendings: Sequence[Sending]) -> None:
        """Raises :class:`SendFailed`, naming the job, the state and the cause; what was acknowledged before is settled."""
        self.broken = True  # until the last one is acknowledged
        for message, delivery in sendings:
            with _naming(delivery):
                self._sink.send([(message, delivery)])
            self._await(delivery)
            self._acknowledged.append(delivery)
        self.broken = False

    def settled(self) -> Sequence[Delivery]:
        acknowledged, self._acknowledged = self._acknowledged, []
        return acknowledged

    def _await(self, delivery: Delivery) -> None:
        deadline, stopped = self._clock.monotonic() + self._seconds, None
        while True:
            self._wake.clear()
            with _naming(delivery):
                if delivery in self._sink.settled():
                    return
            if self._stop.is_set() and stopped is None:
                stopped = self._clock.monotonic()
                deadline = min(deadline, stopped + self._drain_seconds)
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise send_failed(
                    delivery.item, f"Kafka did not acknowledge it within {self._seconds:g} s"
                )
            self._wake.wait(min(left, _PULSE_SECONDS))
            self._meanwhile()


@contextmanager
def _naming(delivery: Delivery) -> Iterator[None]:
    """What Kafka's client raises, with the name of the message."""
    try:
        yield
    except BridgeError as error:
        raise send_failed(delivery.item, error.what) from error


def send_failed(
    item: Transition | Poison | None, cause: str, data: str = _AGAIN, todo: str = _LOOK
) -> SendFailed:
    """The error for a message that was not acknowledged: ``data`` is what it means for it, by default in a running bridge."""
    job_id, state = (item.job_id, item.state) if item else ("", "")
    return SendFailed(
        f"Job {job_id:.100}, state {state:.100}: the message was not acknowledged: {cause}",
        data,
        todo,
    )
