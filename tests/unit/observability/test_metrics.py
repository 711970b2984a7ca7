"""Metrics: counters become families when scraped, and what is unknown is absent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.observability.metrics import BUCKETS, GAUGES, STATES, Counters, registry


def scraped(own: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(generate_latest(own).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def scrape(
    counters: Counters, **gauges: float | None
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return scraped(registry(counters, lambda: gauges, lambda: "running", "1.2.3"))


def test_every_counter_is_there_from_the_start() -> None:
    found = scrape(Counters())

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
        "checkpoints",
        "fenced",
    ):
        assert found[f"job_bridge_{name}_total", ()] == 0


def test_each_counter_tells_its_own_count() -> None:
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
        "checkpoints",
        "fenced",
    )
    for number, name in enumerate(names, start=1):
        setattr(counters, name, number)

    found = scrape(counters)

    assert found["job_bridge_events_read_total", ()] == 1
    assert found["job_bridge_messages_acked_total", ()] == 3
    assert found["job_bridge_fenced_total", ()] == 12
    assert sorted(
        value
        for (name, _), value in found.items()
        if name.endswith("_total") and "restarts" not in name
    ) == list(range(1, 13))


def test_skipped_events_and_restarts_are_told_by_reason() -> None:
    counters = Counters()
    counters.skip("delete")
    counters.skip("delete")
    counters.restarts["kafka"] += 1

    found = scrape(counters)

    assert found["job_bridge_events_skipped_total", (("reason", "delete"),)] == 2
    assert found["job_bridge_restarts_total", (("reason", "kafka"),)] == 1
    assert found["job_bridge_restarts_total", (("reason", "mongodb"),)] == 0, (
        "what is not there yet has no increase"
    )


def test_an_unknown_gauge_is_absent_and_a_zero_is_not() -> None:
    found = scrape(Counters(), job_bridge_lag_seconds=None, job_bridge_ready=0.0)

    assert found["job_bridge_ready", ()] == 0
    assert ("job_bridge_lag_seconds", ()) not in found


def test_every_gauge_has_its_place() -> None:
    found = scrape(Counters(), **{name: float(number) for number, name in enumerate(GAUGES)})

    assert [found[name, ()] for name in GAUGES] == list(range(len(GAUGES)))


def test_exactly_one_state_is_the_current_one() -> None:
    found = scrape(Counters())

    assert {state: found["job_bridge_state", (("state", state),)] for state in STATES} == {
        state: float(state == "running") for state in STATES
    }
    assert found["job_bridge_build_info", (("version", "1.2.3"),)] == 1


def test_the_latency_is_from_the_commit_to_the_acknowledgement() -> None:
    counters = Counters()

    counters.acknowledge([100.0, 99.5, None, 101.0], now=100.002)

    found = scrape(counters)
    name = "job_bridge_delivery_latency_seconds"
    assert counters.acked == 4
    assert found[f"{name}_count", ()] == 3
    assert abs(found[f"{name}_sum", ()] - 0.504) < 1e-9
    assert (
        found[f"{name}_bucket", (("le", "0.001"),)] == 1
    )  # from the future: a clock ahead of ours
    assert found[f"{name}_bucket", (("le", "0.0025"),)] == 2
    assert found[f"{name}_bucket", (("le", "0.5"),)] == 2
    assert found[f"{name}_bucket", (("le", "1.0"),)] == 3


def test_a_latency_beyond_the_last_bound_is_counted() -> None:
    counters = Counters()

    counters.acknowledge([0.0], now=BUCKETS[-1] + 1)

    found = scrape(counters)
    assert found["job_bridge_delivery_latency_seconds_bucket", (("le", "3600.0"),)] == 0
    assert found["job_bridge_delivery_latency_seconds_bucket", (("le", "+Inf"),)] == 1
