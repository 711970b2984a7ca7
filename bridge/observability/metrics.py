"""Every metric: its name, its help, and the collector that reads a snapshot when scraped."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bridge.observability.certificates import Certificates
from bridge.observability.counters import Distribution
from bridge.observability.snapshot import Snapshot
from bridge.observability.status import Status

#: Attribute of :class:`Counters`, name of the metric, help.
COUNTERS = (
    (
        "read",
        "job_bridge_events_read",
        "Events read from the stream, plus jobs read by recoveries and sweeps",
    ),
    (
        "sent",
        "job_bridge_messages_sent",
        "Messages handed to the Kafka client, dead letters included",
    ),
    ("acked", "job_bridge_messages_acked", "Messages acknowledged by the broker"),
    ("lost", "job_bridge_messages_lost", "Messages given up; always 0 except in fire-and-forget"),
    (
        "dead_lettered",
        "job_bridge_messages_dead_lettered",
        "Transitions written to the dead-letter topic",
    ),
    (
        "recovered",
        "job_bridge_transitions_recovered",
        "Transitions published from the jobs' history",
    ),
    (
        "latest_only",
        "job_bridge_recovered_latest_state_only",
        "Jobs of which only the latest state could be recovered; earlier ones are unknown",
    ),
    (
        "swept",
        "job_bridge_transitions_swept",
        "Transitions found by their tags and sent, in a background mode",
    ),
    (
        "history_lost",
        "job_bridge_history_lost",
        "Number of times the oplog no longer reached back to the position",
    ),
    (
        "clients_replaced",
        "job_bridge_clients_replaced",
        "MongoDB and Kafka clients replaced, because they did not work any more",
    ),
    (
        "possible_duplicates",
        "job_bridge_possible_duplicates",
        "Messages sent again after a failure of the sink",
    ),
    (
        "left_out",
        "job_bridge_read_back_left_out",
        "Messages not sent again, because reading the topic back showed that it has them",
    ),
    ("checkpoints", "job_bridge_checkpoints", "Checkpoints stored"),
    ("fenced", "job_bridge_fenced", "Number of times another bridge took over"),
    (
        "transactions_committed",
        "job_bridge_transactions_committed",
        "Kafka transactions of messages that were committed, in exactly-once",
    ),
    (
        "transactions_aborted",
        "job_bridge_transactions_aborted",
        "Kafka transactions of messages that were given up, in exactly-once; their messages are "
        "sent again",
    ),
)

#: Name of each gauge in :meth:`Snapshot.gauges`, and help. A gauge is absent while unknown.
GAUGES = {
    "job_bridge_ready": (
        "1 while transitions are delivered as they happen; 0 while starting, standby, recovering, "
        "waiting, draining, paused, or for a reason that /readyz lists"
    ),
    "job_bridge_paused": (
        "1 from SIGUSR1, which asks for a pause, to SIGUSR2; nothing is read or sent meanwhile"
    ),
    "job_bridge_kafka_up": (
        "1 while Kafka answers and every partition of the topic has a leader and enough in-sync "
        "replicas, also while idle; 0 after 8 seconds without that, or at once without the "
        "permission to write"
    ),
    "job_bridge_mongodb_up": (
        "1 while MongoDB's primary answers, also while idle; 0 after 8 seconds without an answer, "
        "or at once without a permission"
    ),
    "job_bridge_collection_exists": (
        "1 if the jobs collection exists; 0 if it is not created yet, or its name is wrong"
    ),
    "job_bridge_in_flight_messages": "Messages sent and not yet acknowledged",
    "job_bridge_in_flight_bytes": "Bytes sent and not yet acknowledged",
    "job_bridge_in_flight_oldest_seconds": "Age of the oldest message in flight",
    "job_bridge_last_checkpoint_timestamp_seconds": (
        "When the checkpoint was last stored, Unix time"
    ),
    "job_bridge_position_timestamp_seconds": "Cluster time of the settled position, Unix time",
    "job_bridge_lag_seconds": (
        "Cluster time of MongoDB's newest write minus that of the settled position; the sum of "
        "source lag and delivery lag"
    ),
    "job_bridge_source_lag_seconds": (
        "Source lag: cluster time of MongoDB's newest write minus that up to which events were read"
    ),
    "job_bridge_delivery_lag_seconds": (
        "Delivery lag: cluster time up to which events were read minus that of the settled position"
    ),
    "job_bridge_oplog_headroom_seconds": (
        "Cluster time of the stored checkpoint minus that of the oplog's oldest entry"
    ),
    "job_bridge_oplog_window_seconds": (
        "Cluster time of MongoDB's newest write minus that of the oplog's oldest entry"
    ),
    "job_bridge_owner": "1 if this bridge owns the checkpoint, 0 for a standby",
    "job_bridge_owner_since_timestamp_seconds": (
        "When the owner of the checkpoint, this bridge or another, became it, Unix time"
    ),
    "job_bridge_standbys": (
        "Standbys of the checkpoint. Absent with checkpoint.store = mongo, which does not know them"
    ),
    "job_bridge_recovery_jobs": "Jobs to read in the running recovery",
    "job_bridge_recovery_jobs_done": "Jobs read so far in the running recovery",
    "job_bridge_recovery_eta_seconds": (
        "Expected remaining time of the running recovery, by its rate so far"
    ),
    "job_bridge_verified_until_timestamp_seconds": (
        "End of the last verified time span, Unix time"
    ),
    "job_bridge_verified_missing": "Transitions missing from the topic in the last verification",
    "job_bridge_verified_repeated": (
        "Messages beyond the first of their transition in the last verification"
    ),
    "job_bridge_verified_strange": (
        "Messages whose identity no job contains in the last verification"
    ),
    "job_bridge_verified_wrong": (
        "Messages with another job, state, time or key than their transition in the last "
        "verification"
    ),
}
SKIPPED = ("job_bridge_events_skipped", "Events without a message")
RESTARTS = (
    "job_bridge_restarts",
    "Sessions that ended in a failure, by the failed part; a server that does not answer counts as "
    "mongodb or kafka, also where it stores the checkpoint",
)
LATENCY = (
    "job_bridge_delivery_latency_seconds",
    "End-to-end latency: time from the commit in MongoDB to Kafka's acknowledgement; "
    "without dead letters",
)
TRANSACTION_MESSAGES = (
    "job_bridge_transaction_messages",
    "Messages in each committed transaction, in exactly-once",
)
TRANSACTION_SECONDS = (
    "job_bridge_transaction_seconds",
    "Time from the first message of a transaction to the answer to its commit, in exactly-once",
)
STATE = ("job_bridge_state", "1 for the present state of the bridge, 0 for the others")
INFO = ("job_bridge_info", "The bridge that serves these metrics, always 1")
DROPPED = (
    "job_bridge_log_lines_dropped",
    "Lines that the log dropped, because nothing read it",
)
CERTIFICATES = (
    "job_bridge_certificate_not_after_timestamp_seconds",
    "When the certificates in the file of a setting expire, Unix time; of authorities the last",
)
BUILD = ("job_bridge_build_info", "Version of the bridge")

#: The labels of ``job_bridge_info``; names in :attr:`Snapshot.about`.
INFO_LABELS = ("name", "namespace", "topic", "driver", "mode", "version")

#: Present from the first scrape on: an increase needs a value before.
_PARTS = dict.fromkeys(("mongodb", "kafka", "checkpoint", "bridge"), 0)


class _Collector(Collector):
    """Turns a snapshot into Prometheus families at each scrape."""

    def __init__(self, status: Status, states: Sequence[str], certificates: Certificates) -> None:
        self._status = status
        self._states = states
        self._certificates = certificates

    def collect(self) -> Iterator[Metric]:
        snapshot = self._status.snapshot()
        counters = snapshot.counters
        for attribute, name, text in COUNTERS:
            yield CounterMetricFamily(name, text, value=getattr(counters, attribute))
        yield _labelled(SKIPPED, counters.skipped)
        yield _labelled(RESTARTS, {**_PARTS, **counters.restarts})
        yield _histogram(LATENCY, counters.latency)
        yield _histogram(TRANSACTION_MESSAGES, counters.transaction_messages)
        yield _histogram(TRANSACTION_SECONDS, counters.transaction_seconds)
        yield from _gauges(snapshot)
        state = GaugeMetricFamily(*STATE, labels=["state"])
        for name in self._states:
            state.add_metric([name], float(name == snapshot.state))
        yield state
        yield CounterMetricFamily(*DROPPED, value=snapshot.health.log_lines_dropped)
        certificates = GaugeMetricFamily(*CERTIFICATES, labels=["setting"])
        for setting, expiry in self._certificates.not_after():
            certificates.add_metric([setting], expiry)
        yield certificates
        about = snapshot.about
        info = GaugeMetricFamily(*INFO, labels=INFO_LABELS)
        info.add_metric([about.get(label, "") for label in INFO_LABELS], 1)
        yield info
        build = GaugeMetricFamily(*BUILD, labels=["version"])
        build.add_metric([about["version"]], 1)
        yield build


def _gauges(snapshot: Snapshot) -> Iterator[Metric]:
    values = snapshot.gauges()
    for name, text in GAUGES.items():
        value = values.get(name)
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)


def _histogram(metric: tuple[str, str], values: Distribution) -> Metric:
    totals = accumulate(values.counts)
    bounds = (*map(float, values.bounds), "+Inf")
    buckets = [(str(bound), float(total)) for bound, total in zip(bounds, totals, strict=True)]
    return HistogramMetricFamily(*metric, buckets=buckets, sum_value=values.sum)


def _labelled(metric: tuple[str, str], counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(*metric, labels=["reason"])
    for reason, count in counts.items():
        family.add_metric([reason], count)
    return family


def registry(
    status: Status, states: Sequence[str], certificates: Certificates
) -> CollectorRegistry:
    """Return a registry with the metrics of a bridge and its process.

    ``states`` are the values of the bridge's state.
    """
    own = CollectorRegistry()
    own.register(_Collector(status, states, certificates))
    ProcessCollector(registry=own)
    PlatformCollector(registry=own)
    GCCollector(registry=own)
    return own
