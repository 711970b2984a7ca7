"""Synchronous: one message at a time, each acknowledged within a deadline, or the bridge ends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bridge.errors import BridgeError, SendFailed
from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery, Sending
from bridge.pipeline.ports import Sink
from bridge.pipeline.pulse import Pulse

_SENT_AGAIN = "Nothing is lost: the next start sends it again, unless the topic has it"
_CHECK_KAFKA = "Check Kafka, then restart the bridge"


class SynchronousSink:
    """A sink whose ``send`` waits for each acknowledgement.

    See :class:`bridge.pipeline.ports.Sink`.

    Args:
        sink: The wrapped sink.
        pulse: Keeps the checkpoint owned meanwhile.
        timeout_seconds: The deadline of a message.
        drain_seconds: The deadline once a stop is requested, where that is earlier.
    """

    def __init__(
        self, sink: Sink, pulse: Pulse, *, timeout_seconds: float, drain_seconds: float
    ) -> None:
        self._sink = sink
        self._pulse = pulse
        self._timeout_seconds = timeout_seconds
        self._drain_seconds = drain_seconds
        self._acknowledged: list[Delivery] = []
        self.broken = False
        self.max_message_bytes = sink.max_message_bytes

    def send(self, sendings: Sequence[Sending]) -> None:
        """Send each message and wait for its acknowledgement.

        Raises:
            SendFailed: Names the job, the state and the cause. Messages acknowledged before are
                settled.
        """
        self.broken = True  # until the last message is acknowledged
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
        pulse = self._pulse
        deadline = pulse.clock.monotonic() + self._timeout_seconds
        draining = False
        while True:
            pulse.wake.clear()
            with _naming(delivery):
                if delivery in self._sink.settled():
                    return
            if pulse.stop.is_set() and not draining:
                draining = True
                deadline = min(deadline, pulse.clock.monotonic() + self._drain_seconds)
            left = deadline - pulse.clock.monotonic()
            if left <= 0:
                cause = f"Kafka did not acknowledge it within {self._timeout_seconds:g} s"
                raise send_failed(delivery.item, cause)
            pulse.wait_for_answers(left)
            pulse.keep_alive()


@contextmanager
def _naming(delivery: Delivery) -> Iterator[None]:
    """Name the message in the error of the Kafka client."""
    try:
        yield
    except BridgeError as error:
        raise send_failed(delivery.item, error.what) from error


def send_failed(
    item: Transition | Poison | None,
    cause: str,
    data: str = _SENT_AGAIN,
    todo: str = _CHECK_KAFKA,
) -> SendFailed:
    """Return the error for a message that was not acknowledged.

    Args:
        item: The transition of the message, where it is known.
        cause: Why there was no acknowledgement.
        data: The consequence for the data; the default is for a running bridge.
        todo: Advice.
    """
    job_id, state = (item.job_id, item.state) if item else ("", "")
    what = f"Job {job_id:.100}, state {state:.100}: the message was not acknowledged: {cause}"
    return SendFailed(what, data, todo)
