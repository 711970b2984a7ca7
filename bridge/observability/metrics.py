"""Every metric: plain counters the loop's thread owns, and a collector that reads them when scraped.

The loop pays an addition for each; names, help and labels stand here and nowhere else.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

#: Upper bounds of the latency histogram, in seconds.
BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3600.0,
)

#: Attribute of :class:`Counters`, metric, help.
_COUNTERS = (
    (
        "read",
        "job_bridge_events_read",
        "Events read: of the change stream, jobs of a recovery, and what a sweep found",
    ),
    (
        "sent",
        "job_bridge_messages_sent",
        "Messages handed to the Kafka client, dead letters included",
    ),
    ("acked", "job_bridge_messages_acked", "Messages the broker has acknowledged"),
    ("lost", "job_bridge_messages_lost", "Messages given up; always 0 but for fire-and-forget"),
    (
        "dead_lettered",
        "job_bridge_messages_dead_lettered",
        "Transitions set aside to the dead-letter topic",
    ),
    (
        "recovered",
        "job_bridge_transitions_recovered",
        "Transitions published from the jobs' history",
    ),
    (
        "latest_only",
        "job_bridge_recovered_latest_state_only",
        "Jobs of which only the latest state could be recovered, intermediate ones being unknown",
    ),
    (
        "swept",
        "job_bridge_transitions_swept",
        "Transitions found by their tags and sent, in a background mode",
    ),
    (
        "history_lost",
        "job_bridge_history_lost",
        "Times the oplog no longer reached back to the position",
    ),
    (
        "possible_duplicates",
        "job_bridge_possible_duplicates",
        "Messages sent again after a failure of the sink",
    ),
    ("checkpoints", "job_bridge_checkpoints", "Checkpoints stored"),
    ("fenced", "job_bridge_fenced", "Times another bridge took over"),
)

#: Name of a gauge, as :class:`bridge.observability.status.Status` knows it, and help. Absent while unknown.
GAUGES = {
    "job_bridge_ready": "1 while transitions are delivered as they happen; 0 while starting, standing by, recovering, waiting, draining, or while Kafka takes nothing",
    "job_bridge_in_flight_messages": "Messages sent and not yet acknowledged",
    "job_bridge_in_flight_bytes": "Bytes sent and not yet acknowledged",
    "job_bridge_in_flight_oldest_seconds": "Age of the oldest message in flight",
    "job_bridge_last_checkpoint_timestamp_seconds": "When the checkpoint was last stored, Unix time",
    "job_bridge_position_timestamp_seconds": "Cluster time of the settled position, Unix time",
    "job_bridge_lag_seconds": "Cluster time of MongoDB's newest write less that of the settled position",
    "job_bridge_oplog_headroom_seconds": "Cluster time of the stored checkpoint less that of the oplog's oldest entry",
    "job_bridge_recovery_jobs": "Jobs to read in the recovery under way",
    "job_bridge_recovery_jobs_done": "Jobs read so far in the recovery under way",
    "job_bridge_recovery_eta_seconds": "How long the recovery under way will go on, by its rate so far",
    "job_bridge_verified_until_timestamp_seconds": "Up to when the topic was last compared with the jobs' history, Unix time",
    "job_bridge_verified_missing": "Transitions the last verification missed in the topic",
    "job_bridge_verified_repeated": "Messages beyond the first of their transition, in the last verification",
}

#: What may fail, from the first scrape on: what is not there yet has no increase.
_PARTS = dict.fromkeys(("mongodb", "kafka", "checkpoint", "bridge"), 0)

STATES = ("starting", "standby", "running", "recovering", "waiting", "draining", "stopped")


class Counters:
    """What has happened so far. Written by the loop's thread only; reading is safe from anywhere."""

    def __init__(self) -> None:
        self.read = self.sent = self.settled = self.acked = self.lost = 0
        self.dead_lettered = self.recovered = self.latest_only = self.swept = (
            self.possible_duplicates
        ) = 0
        self.checkpoints = self.fenced = self.history_lost = 0
        self.skipped: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.latency_counts = [0] * (len(BUCKETS) + 1)
        self.latency_sum = 0.0
        #: The latest position handed to the sink in the life of this process.
        self.sent_up_to: tuple[Any, ...] = ()
        #: When the loop last turned, monotonic seconds.
        self.turned = 0.0

    def skip(self, reason: str) -> None:
        """Count an event without a message."""
        self.skipped[reason] += 1

    def acknowledge(self, committed: Sequence[float | None], now: float) -> None:
        """Count acknowledged messages, given by the Unix time of their commit where that is known."""
        self.acked += len(committed)
        # Commit times have milliseconds: in a backlog many messages share one.
        for at, count in Counter(committed).items():
            if at is not None:
                latency = max(0.0, now - at)
                self.latency_counts[bisect_left(BUCKETS, latency)] += count
                self.latency_sum += latency * count


class _Collector(Collector):
    """Turns the counters and gauges into Prometheus families at the moment of a scrape."""

    def __init__(
        self,
        counters: Counters,
        gauges: Callable[[], Mapping[str, float | None]],
        state: Callable[[], str],
        version: str,
    ) -> None:
        self._counters, self._gauges, self._state, self._version = counters, gauges, state, version

    def collect(self) -> Iterator[Metric]:
        for attribute, name, text in _COUNTERS:
            yield CounterMetricFamily(name, text, value=getattr(self._counters, attribute))
        yield _labelled(
            "job_bridge_events_skipped",
            "Events that carry no message",
            "reason",
            self._counters.skipped,
        )
        failed = "Runs of the loop that ended in a failure, by what failed; a lease that is kept in MongoDB is the checkpoint"
        yield _labelled(
            "job_bridge_restarts", failed, "reason", {**_PARTS, **self._counters.restarts}
        )
        yield self._latency()
        known = self._gauges()
        for name, text in GAUGES.items():
            value = known.get(name)
            if value is not None:
                yield GaugeMetricFamily(name, text, value=value)
        state = GaugeMetricFamily(
            "job_bridge_state", "1 for the state the bridge is in", labels=["state"]
        )
        for one in STATES:
            state.add_metric([one], float(one == self._state()))
        yield state
        build = GaugeMetricFamily(
            "job_bridge_build_info", "Version of the bridge", labels=["version"]
        )
        build.add_metric([self._version], 1)
        yield build

    def _latency(self) -> Metric:
        totals = list(accumulate(self._counters.latency_counts))
        buckets = [
            (str(bound), float(total))
            for bound, total in zip((*BUCKETS, "+Inf"), totals, strict=True)
        ]
        return HistogramMetricFamily(
            "job_bridge_delivery_latency_seconds",
            "From the commit in MongoDB to Kafka's acknowledgement",
            buckets=buckets,
            sum_value=self._counters.latency_sum,
        )


def _labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in list(counts.items()):
        family.add_metric([value], count)
    return family


def registry(
    counters: Counters,
    gauges: Callable[[], Mapping[str, float | None]],
    state: Callable[[], str],
    version: str,
) -> CollectorRegistry:
    """A registry of its own with everything above."""
    own = CollectorRegistry()
    own.register(_Collector(counters, gauges, state, version))
    return own
