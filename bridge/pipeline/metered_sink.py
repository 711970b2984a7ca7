"""Counts and keeps messages, and measures the time from commit to acknowledgement."""

from collections.abc import Sequence

from bridge.clock import Clock
from bridge.model.window import Delivery, Sending
from bridge.observability.counters import Counters
from bridge.observability.recent import RecentDeliveries
from bridge.pipeline.ports import Sink


class MeteredSink:
    """A sink around a driver's; see :class:`bridge.pipeline.ports.Sink`."""

    def __init__(
        self, sink: Sink, clock: Clock, counters: Counters, *, recent: RecentDeliveries
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._counters = counters
        self._recent = recent
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        self._sink.send(sendings)
        self._counters.sent += len(sendings)

    def settled(self) -> Sequence[Delivery]:
        settled = self._sink.settled()
        if settled:
            commits = [delivery.committed for delivery in settled]
            self._counters.acknowledge(commits, self._clock.now())
            self._recent.add(settled)
        return settled
