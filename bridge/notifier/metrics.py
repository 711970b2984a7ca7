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
    ("lost", "Messages that failed without a caller to raise the error"),
)


class Countable(Protocol):
    """The part of a notifier that has numbers."""

    @property
    def topic(self) -> str: ...

    def counts(self) -> NotifierCounts: ...


class NotifierCollector(Collector):
    """Reads the numbers of notifiers when they are scraped.

    Those with the same topic are added up; ``kafka_up`` is 1 if it is for each of them.
    """

    def __init__(self, *notifiers: Countable) -> None:
        self._notifiers = notifiers

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, each with the topic as label."""
        topics: dict[str, list[NotifierCounts]] = {}
        for notifier in self._notifiers:
            topics.setdefault(notifier.topic, []).append(notifier.counts())
        for name, text in _COUNTERS:
            counter = CounterMetricFamily(f"{_PREFIX}messages_{name}", text, labels=_LABELS)
            for topic, counts in topics.items():
                counter.add_metric([topic], sum(getattr(count, name) for count in counts))
            yield counter
        waiting = GaugeMetricFamily(
            f"{_PREFIX}unacknowledged_messages", "Messages that wait for Kafka", labels=_LABELS
        )
        kafka_up = GaugeMetricFamily(
            f"{_PREFIX}kafka_up",
            "1 while a producer is open and no message has been in flight for 10 seconds",
            labels=_LABELS,
        )
        for topic, counts in topics.items():
            waiting.add_metric([topic], sum(count.unacknowledged for count in counts))
            kafka_up.add_metric([topic], int(all(count.connected for count in counts)))
        yield from (waiting, kafka_up)
