"""The metrics of a notifier, for the registry of its host."""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.notifier.counts import NotifierCounts

_PREFIX = "job_bridge_notifier_"
_LABELS = ("topic",)
#: Attribute of :class:`NotifierCounts`, help.
_COUNTERS = (
    ("acknowledged", "Messages that Kafka has acknowledged"),
    ("failed", "Calls of notify and send that raised SendFailed"),
    ("lost", "Messages given up in mode fire-and-forget"),
)


class Countable(Protocol):
    """The part of a notifier that has numbers."""

    @property
    def topic(self) -> str: ...

    def counts(self) -> NotifierCounts: ...


class NotifierCollector(Collector):
    """Reads the numbers of a notifier when they are scraped."""

    def __init__(self, notifier: Countable) -> None:
        self._notifier = notifier

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, each with the topic as label."""
        topic = [self._notifier.topic]
        counts = self._notifier.counts()
        for name, text in _COUNTERS:
            counter = CounterMetricFamily(f"{_PREFIX}messages_{name}", text, labels=_LABELS)
            counter.add_metric(topic, getattr(counts, name))
            yield counter
        for name, text, value in (
            ("unacknowledged_messages", "Messages that wait for Kafka", counts.unacknowledged),
            ("kafka_up", "1 while a producer is open", int(counts.connected)),
        ):
            gauge = GaugeMetricFamily(_PREFIX + name, text, labels=_LABELS)
            gauge.add_metric(topic, value)
            yield gauge
