"""Metrics: a scrape turns a snapshot into families, and an unknown gauge is absent."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.observability.certificates import Certificates
from bridge.observability.counters import BUCKETS, Counters
from bridge.observability.metrics import COUNTERS, GAUGES, registry
from bridge.observability.snapshot import (
    HealthState,
    InFlightState,
    OplogTimes,
    OwnershipState,
    RecoveryState,
    Snapshot,
    Verified,
)
from bridge.observability.status import Status
from tests.support.factories import BASE, at, checkpoint, settings
from tests.support.fakes import FakeClock
from tests.support.observed_bridge import ObservedBridge, status_of

STATES = ("starting", "running", "stopped")
CERTIFICATES = Certificates(settings())

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class FixedStatus(Status):
    """Returns the same snapshot each time."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def snapshot(self) -> Snapshot:
        return self._snapshot


def scraped(own: CollectorRegistry) -> Samples:
    families = text_string_to_metric_families(generate_latest(own).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def scrape(counters: Counters) -> Samples:
    """Return the samples of a running bridge of which only the counters are known."""
    bridge = ObservedBridge(counters=counters)
    return scraped(registry(status_of(bridge, FakeClock()), STATES, CERTIFICATES))


def scrape_snapshot(snapshot: Snapshot) -> Samples:
    return scraped(registry(FixedStatus(snapshot), STATES, CERTIFICATES))


def test_every_counter_is_present_at_once() -> None:
    samples = scrape(Counters())

    for name in (
        "events_read",
        "messages_sent",
        "messages_acked",
        "messages_lost",
        "messages_dead_lettered",
        "transitions_recovered",
        "recovered_latest_state_only",
        "transitions_swept",
        "history_lost",
        "possible_duplicates",
        "read_back_left_out",
        "clients_replaced",
        "checkpoints",
        "fenced",
        "transactions_committed",
        "transactions_aborted",
        "log_lines_dropped",
    ):
        assert samples[f"job_bridge_{name}_total", ()] == 0


def test_each_counter_has_its_own_count() -> None:
    counters = Counters()
    names = (
        "read",
        "sent",
        "acked",
        "lost",
        "dead_lettered",
        "recovered",
        "latest_only",
        "swept",
        "history_lost",
        "possible_duplicates",
        "left_out",
        "clients_replaced",
        "checkpoints",
        "fenced",
        "transactions_committed",
        "transactions_aborted",
    )
    for number, name in enumerate(names, start=1):
        setattr(counters, name, number)

    samples = scrape(counters)

    assert samples["job_bridge_events_read_total", ()] == 1
    assert samples["job_bridge_messages_acked_total", ()] == 3
    assert samples["job_bridge_fenced_total", ()] == 14
    assert sorted(
        value
        for (name, _), value in samples.items()
        if name in {f"{family}_total" for _, family, _ in COUNTERS}
    ) == list(range(1, 17))


def test_skips_and_restarts_have_reasons() -> None:
    counters = Counters()
    counters.skip("delete")
    counters.skip("delete")
    counters.restarts["kafka"] += 1

    samples = scrape(counters)

    assert samples["job_bridge_events_skipped_total", (("reason", "delete"),)] == 2
    assert samples["job_bridge_restarts_total", (("reason", "kafka"),)] == 1
    assert samples["job_bridge_restarts_total", (("reason", "mongodb"),)] == 0, (
        "an increase needs a value before"
    )


def test_an_unknown_gauge_is_absent() -> None:
    """A gauge of zero is present."""
    samples = scrape(Counters())

    assert samples["job_bridge_in_flight_messages", ()] == 0
    assert ("job_bridge_lag_seconds", ()) not in samples


def test_each_gauge_has_its_own_value() -> None:
    unknown = status_of(ObservedBridge(), FakeClock()).snapshot()
    known = replace(
        unknown,
        position=at(40),
        checkpoint=checkpoint(30),
        in_flight=InFlightState(2, 42, 4.0),
        recovery=RecoveryState(11, 7, 3.0, "", {}),
        verified=Verified(55.0, 5, 6, 7, 8),
        reached=at(43),
        health=HealthState(
            kafka_up=False,
            mongodb_up=True,
            collection_exists=True,
            oplog=OplogTimes(at(48).cluster_time, at(21).cluster_time),
            ownership=OwnershipState("a bridge", 66.0, ("b", "c"), is_us=True),
        ),
    )

    samples = scrape_snapshot(known)

    expected = {
        "ready": 1,
        "paused": 0,
        "in_flight_messages": 2,
        "in_flight_bytes": 42,
        "in_flight_oldest_seconds": 4,
        "last_checkpoint_timestamp_seconds": 123.5,
        "position_timestamp_seconds": BASE + 40,
        "kafka_up": 0,
        "mongodb_up": 1,
        "collection_exists": 1,
        "lag_seconds": 8,
        "source_lag_seconds": 5,
        "delivery_lag_seconds": 3,
        "oplog_headroom_seconds": 9,
        "oplog_window_seconds": 27,
        "recovery_jobs": 11,
        "recovery_jobs_done": 7,
        "recovery_eta_seconds": 3,
        "verified_until_timestamp_seconds": 55,
        "verified_missing": 5,
        "verified_repeated": 6,
        "verified_strange": 7,
        "verified_wrong": 8,
        "owner": 1,
        "owner_since_timestamp_seconds": 66,
        "standbys": 2,
    }
    assert {name: samples[f"job_bridge_{name}", ()] for name in expected} == expected
    assert {f"job_bridge_{name}" for name in expected} == set(GAUGES)
    assert set(known.gauges()) == set(GAUGES)


def test_every_count_has_a_metric() -> None:
    """A count without a metric is invisible; a metric without a count fails each scrape."""
    plain = {name for name, value in vars(Counters()).items() if type(value) is int}

    assert {attribute for attribute, _, _ in COUNTERS} == plain


def test_dropped_lines_of_the_log_are_counted() -> None:
    snapshot = status_of(ObservedBridge(), FakeClock()).snapshot()

    samples = scrape_snapshot(replace(snapshot, health=HealthState(log_lines_dropped=3)))

    assert samples["job_bridge_log_lines_dropped_total", ()] == 3


def test_the_info_names_the_bridge() -> None:
    about = {
        "name": "bridge",
        "namespace": "db.jobs",
        "topic": "jobs",
        "driver": "kafka-python 3.0.12",
        "mode": "at-least-once",
        "version": "1.2.3",
    }
    snapshot = status_of(ObservedBridge(), FakeClock()).snapshot()

    samples = scrape_snapshot(replace(snapshot, about=about))

    assert samples["job_bridge_info", tuple(sorted(about.items()))] == 1


def test_the_process_has_its_usual_metrics() -> None:
    names = {name for name, _ in scrape(Counters())}

    assert {
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
        "python_info",
        "python_gc_collections_total",
    } <= names


def test_exactly_one_state_is_the_current_one() -> None:
    snapshot = status_of(ObservedBridge("running"), FakeClock()).snapshot()
    samples = scrape_snapshot(replace(snapshot, about={"version": "1.2.3"}))

    assert {state: samples["job_bridge_state", (("state", state),)] for state in STATES} == {
        state: float(state == "running") for state in STATES
    }
    assert samples["job_bridge_build_info", (("version", "1.2.3"),)] == 1


def test_the_latency_starts_at_the_commit() -> None:
    counters = Counters()

    counters.acknowledge([100.0, 99.5, None, 101.0], now=100.002)

    samples = scrape(counters)
    name = "job_bridge_delivery_latency_seconds"
    assert counters.acked == 4
    assert samples[f"{name}_count", ()] == 3
    assert abs(samples[f"{name}_sum", ()] - 0.504) < 1e-9
    # A commit in the future, by a clock that is ahead of ours, counts as no latency.
    assert samples[f"{name}_bucket", (("le", "0.001"),)] == 1
    assert samples[f"{name}_bucket", (("le", "0.0025"),)] == 2
    assert samples[f"{name}_bucket", (("le", "0.5"),)] == 2
    assert samples[f"{name}_bucket", (("le", "1.0"),)] == 3


def test_a_latency_beyond_the_last_bound_is_counted() -> None:
    counters = Counters()

    counters.acknowledge([0.0], now=BUCKETS[-1] + 1)

    samples = scrape(counters)
    assert samples["job_bridge_delivery_latency_seconds_bucket", (("le", "3600.0"),)] == 0
    assert samples["job_bridge_delivery_latency_seconds_bucket", (("le", "+Inf"),)] == 1


def test_a_transaction_counts_size_and_time() -> None:
    counters = Counters()

    counters.transaction(1, 0.004)
    copied = counters.copied()
    counters.transaction(300, 0.2)

    samples = scrape(counters)
    messages, seconds = "job_bridge_transaction_messages", "job_bridge_transaction_seconds"
    assert samples["job_bridge_transactions_committed_total", ()] == 2
    assert samples[f"{messages}_bucket", (("le", "1.0"),)] == 1
    assert samples[f"{messages}_bucket", (("le", "100.0"),)] == 1
    assert samples[f"{messages}_bucket", (("le", "1000.0"),)] == 2
    assert samples[f"{messages}_sum", ()] == 301
    assert samples[f"{seconds}_bucket", (("le", "0.005"),)] == 1
    assert samples[f"{seconds}_count", ()] == 2
    assert abs(samples[f"{seconds}_sum", ()] - 0.204) < 1e-9
    assert sum(copied.transaction_messages.counts) == 1, "a copy does not change"
