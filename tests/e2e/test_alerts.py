"""The shipped alerts in a Prometheus that scrapes a bridge."""

from __future__ import annotations

from pathlib import Path

from bridge.demo.servers.process import free_port, poll
from tests.support.dashboard import queries
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FORTY_JOBS, FaultScenario
from tests.support.servers.prometheus import Prometheus

TRANSITIONS = "bridge:job_bridge_transitions:rate5m"


@ONE_DELIVERY
def test_an_outage_of_kafka_is_alerted(scenario: FaultScenario, tmp_path: Path) -> None:
    """The alerts fire while the broker is down, and end by themselves."""
    port = free_port()
    outage = {"JobBridgeKafkaDown", "JobBridgeNotReady"}
    with (
        scenario.bridge(http__port=str(port)) as bridge,
        Prometheus(tmp_path / "prometheus", [f"127.0.0.1:{port}"]) as prometheus,
    ):
        bridge.wait_ready()
        # A count before the first scrape would be in no rate.
        poll(lambda: bool(prometheus.query(f"{TRANSITIONS} == 0")), "a scrape of the idle bridge")
        scenario.run_jobs(FORTY_JOBS)
        poll(lambda: bool(prometheus.query(f"{TRANSITIONS} > 0")), "transitions are counted")
        (series,) = prometheus.query(TRANSITIONS)
        assert not prometheus.alerts() & outage
        # An expression that Prometheus refuses raises an error.
        answers = {title: prometheus.query(query) for title, query in queries()}
        assert answers["Ready"][0]["metric"]["name"] == scenario.database

        with scenario.kafka_down():
            poll(lambda: prometheus.alerts() >= outage, "the alerts of the outage")
        poll(lambda: not prometheus.alerts() & outage, "the end of the alerts")

        assert series["metric"]["name"] == scenario.database
        assert series["metric"]["topic"] == scenario.topic
