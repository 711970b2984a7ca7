"""The HTTP pages of a bridge that is idle, waiting, or without an answer from Kafka."""

from __future__ import annotations

import re
import time

from bridge import __version__
from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client

#: Names of every metric an operator may build on, with its kind.
METRICS = {
    "job_bridge_events_read": "counter",
    "job_bridge_messages_sent": "counter",
    "job_bridge_messages_acked": "counter",
    "job_bridge_messages_lost": "counter",
    "job_bridge_messages_dead_lettered": "counter",
    "job_bridge_transitions_recovered": "counter",
    "job_bridge_possible_duplicates": "counter",
    "job_bridge_checkpoints": "counter",
    "job_bridge_fenced": "counter",
    "job_bridge_events_skipped": "counter",
    "job_bridge_restarts": "counter",
    "job_bridge_delivery_latency_seconds": "histogram",
    "job_bridge_ready": "gauge",
    "job_bridge_paused": "gauge",
    "job_bridge_in_flight_messages": "gauge",
    "job_bridge_in_flight_bytes": "gauge",
    "job_bridge_recovered_latest_state_only": "counter",
    "job_bridge_transitions_swept": "counter",
    "job_bridge_history_lost": "counter",
    "job_bridge_in_flight_oldest_seconds": "gauge",
    "job_bridge_last_checkpoint_timestamp_seconds": "gauge",
    "job_bridge_position_timestamp_seconds": "gauge",
    "job_bridge_lag_seconds": "gauge",
    "job_bridge_source_lag_seconds": "gauge",
    "job_bridge_delivery_lag_seconds": "gauge",
    "job_bridge_kafka_up": "gauge",
    "job_bridge_mongodb_up": "gauge",
    "job_bridge_collection_exists": "gauge",
    "job_bridge_read_back_left_out": "counter",
    "job_bridge_clients_replaced": "counter",
    "job_bridge_log_lines_dropped": "counter",
    "job_bridge_info": "gauge",
    "job_bridge_owner": "gauge",
    "job_bridge_owner_since_timestamp_seconds": "gauge",
    "job_bridge_transaction_messages": "histogram",
    "job_bridge_transaction_seconds": "histogram",
    "job_bridge_transactions_aborted": "counter",
    "job_bridge_transactions_committed": "counter",
    "job_bridge_oplog_headroom_seconds": "gauge",
    "job_bridge_oplog_window_seconds": "gauge",
    "job_bridge_certificate_not_after_timestamp_seconds": "gauge",
    "job_bridge_state": "gauge",
    "job_bridge_build_info": "gauge",
}
#: Known only once there is a position, or an answer of MongoDB.
LATER = {
    name
    for name in METRICS
    if name.endswith(("timestamp_seconds", "_exists")) or "lag" in name or "oplog" in name
} - {"job_bridge_certificate_not_after_timestamp_seconds"}
#: Known a moment after the start, in either way.
SOON = {"job_bridge_kafka_up", "job_bridge_mongodb_up"}


def kinds(text: str) -> dict[str, str]:
    """The metrics of a page with their kind; each has a help of some words."""
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert all(len(helps[name].split()) > 1 for name in types)
    return {
        name.removesuffix("_total"): kind
        for name, kind in types.items()
        if name.startswith("job_bridge_") and not name.endswith("_created")
    }


def test_the_pages_of_an_idle_bridge(
    start: MakeBridge, jobs: JobWriter, topic: str, settings: dict[str, str]
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        jobs.add_good()
        bridge.wait_acked(len(GOOD))

        assert bridge.get("/livez") == (200, "alive\n")
        assert bridge.get("/readyz") == (200, "ready\n")
        assert bridge.get("/nothing") == (
            404,
            "/ /metrics /livez /readyz /status.json /history.json /events\n",
        )
        code, page = bridge.get("/metrics")
        assert code == 200 and kinds(page) == METRICS
        bridge.wait_for(lambda: bridge.status()["checkpoint"]["token"] != "", "a stored checkpoint")
        metrics, status = bridge.metrics(), bridge.status()
    for name in ("events_read", "messages_sent", "messages_acked"):
        assert metrics[f"job_bridge_{name}_total"] == len(GOOD)
    for name in ("messages_lost", "messages_dead_lettered", "possible_duplicates", "fenced"):
        assert metrics[f"job_bridge_{name}_total"] == 0
    assert metrics["job_bridge_ready"] == 1
    assert metrics["job_bridge_in_flight_messages"] == metrics["job_bridge_in_flight_bytes"] == 0
    assert metrics["job_bridge_delivery_latency_seconds_count"] == len(GOOD)
    assert (
        metrics['job_bridge_state{state="running"}']
        == 1
        == sum(value for name, value in metrics.items() if name.startswith("job_bridge_state{"))
    )
    assert metrics[f'job_bridge_build_info{{version="{__version__}"}}'] == 1
    (info,) = (name for name in metrics if name.startswith("job_bridge_info{"))
    for value in (topic, f"{settings['mongo.database']}.jobs", "at-least-once", __version__):
        assert f'"{value}"' in info
    assert metrics["process_resident_memory_bytes"] > 0
    for name in ("kafka_up", "mongodb_up", "collection_exists"):
        assert metrics[f"job_bridge_{name}"] == 1
    assert 0 <= metrics["job_bridge_oplog_headroom_seconds"] < 3600
    assert abs(metrics["job_bridge_last_checkpoint_timestamp_seconds"] - time.time()) < 60
    assert status["state"] == "running" and status["ready"] is True and status["reasons"] == []
    assert (status["name"], status["topic"]) == (settings["checkpoint.name"], topic)
    assert status["namespace"] == f"{settings['mongo.database']}.jobs"
    assert len(status["checkpoint"]["token"]) == 24


def test_writes_elsewhere_cause_no_lag(start: MakeBridge, client: Client, database: str) -> None:
    with start() as bridge:
        bridge.wait_ready()
        other = client[f"{database}-other"]["things"]
        before = bridge.metrics()["job_bridge_position_timestamp_seconds"]

        def moved() -> bool:
            other.insert_one({})
            return bridge.metrics()["job_bridge_position_timestamp_seconds"] >= before + 3

        bridge.wait_for(moved, "the position to move on")
        assert bridge.metrics()["job_bridge_lag_seconds"] <= 2
        assert bridge.metrics()["job_bridge_events_read_total"] == 0


def test_what_is_not_known_is_absent(start: MakeBridge) -> None:
    with start(mongo__uri=f"mongodb://127.0.0.1:{free_port()}/") as bridge:
        bridge.unready_reason("MongoDB refuses connections")

        code, page = bridge.get("/metrics")

        assert code == 200
        assert kinds(page).keys() - SOON == METRICS.keys() - LATER - SOON
        assert bridge.metrics()['job_bridge_state{state="waiting"}'] == 1
        status = bridge.status()
        assert (
            status["position"]
            is status["checkpoint"]
            is status["gauges"]["job_bridge_lag_seconds"]
            is None
        )


def test_a_hanging_kafka_is_reported_and_recovered_from(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str, client: Client
) -> None:
    def lags() -> float:
        client["other"]["things"].insert_one({})  # MongoDB's time advances, the position does not
        return bridge.metrics()["job_bridge_lag_seconds"]

    with start() as bridge:
        bridge.wait_ready()
        before = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        kafka.pause()
        try:
            paused = time.monotonic()
            after = jobs.add_good()
            reason = bridge.unready_reason("Kafka")
            waited = time.monotonic() - paused
            lag, metrics = lags(), bridge.metrics()
            bridge.wait_for(lambda: lags() > lag, "the lag to grow")
            bridge.wait_for(lambda: _says_nothing_is_lost(bridge), "a word about the data")
            assert bridge.get("/livez")[0] == 200
        finally:
            kafka.resume()

        # An outage may have started up to 5 seconds before it, with the last question.
        assert 2 < waited < 20
        assert (
            "not acknowledged anything for" in reason
            or "unreachable" in reason
            or "does not answer" in reason
        )
        assert lag >= waited - 7
        assert metrics["job_bridge_ready"] == 0
        bridge.wait_ready().wait_acked(2 * len(GOOD))
    assert published_states(kafka, topic, before) == list(GOOD)
    assert set(published_states(kafka, topic, after)) == set(GOOD)


def _says_nothing_is_lost(bridge: BridgeProcess) -> bool:
    return any(
        "Reading is paused, nothing is lost" in line
        or "Nothing is lost: unacknowledged messages are sent again, in order" in line
        for line in bridge.messages()
    )
