"""The status: ready or the reason why not, alive or hanging, and what is known."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import Misconfigured
from bridge.model.gap import Gap
from bridge.model.policy import STALL_SECONDS, stalled
from bridge.model.position import ClusterTime
from bridge.model.window import Delivery, Window
from bridge.observability.certificates import Certificates
from bridge.observability.http_pages import Pages
from bridge.observability.http_request import Request
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import registry
from bridge.observability.snapshot import SWEEP_ONLY, OplogTimes
from bridge.observability.status import HANG_SECONDS
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.recovery_progress import RecoveryProgress
from tests.support.factories import BASE, at, checkpoint, settings, token
from tests.support.fakes import FakeClock
from tests.support.observed_bridge import FixedHealth, ObservedBridge, status_of


class StatusScenario:
    """The status of a running bridge with one window."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.window = Window(at(0), 10, 100)
        self.bridge = ObservedBridge(last_beat=self.clock.monotonic(), in_flight=self.window)
        self.health = FixedHealth()
        self.status = status_of(self.bridge, self.clock, self.health)

    def get(self, path: str, query: str = "") -> tuple[str, str]:
        pages = Pages(self.status, registry(self.status, ["running"], Certificates(settings())))
        response = pages.answer(Request("GET", path, query, details=True))
        return f"{response.status.value} {response.status.phrase}", response.body.decode()

    def beat(self) -> None:
        """Let the main thread show that it works."""
        self.bridge.last_beat = self.clock.monotonic()

    @property
    def reasons(self) -> list[str]:
        return list(self.status.snapshot().reasons)

    def gauge(self, name: str) -> float | None:
        """Return a gauge as a scrape reads it."""
        return self.status.snapshot().gauges()[f"job_bridge_{name}"]


@pytest.fixture
def scenario() -> StatusScenario:
    return StatusScenario()


def test_a_running_bridge_is_ready(scenario: StatusScenario) -> None:
    assert scenario.reasons == []
    assert scenario.get("/readyz") == ("200 OK", "ready\n")


def test_a_waiting_bridge_reports_the_reason(scenario: StatusScenario) -> None:
    scenario.bridge.state = "waiting"
    scenario.bridge.looping = False
    scenario.bridge.reason = "MongoDB is unreachable"

    assert scenario.get("/readyz") == ("503 Service Unavailable", "MongoDB is unreachable\n")
    assert scenario.get("/livez")[0] == "200 OK"


def test_a_new_bridge_is_alive_and_not_ready() -> None:
    bridge = ObservedBridge("starting", looping=False)
    snapshot = status_of(bridge, FakeClock()).snapshot()

    assert snapshot.reasons == ("starting",)
    assert snapshot.alive
    assert not snapshot.ready


def test_a_stall_means_not_ready(scenario: StatusScenario) -> None:
    scenario.window.admit(Delivery(at(1), 1, sent=scenario.clock.monotonic()))
    scenario.bridge.warning = "connection refused"

    scenario.clock.advance(STALL_SECONDS - 1)
    scenario.beat()
    assert scenario.reasons == []

    scenario.clock.advance(1.0)
    scenario.beat()
    assert scenario.reasons == [stalled(10.0, lambda: "connection refused")]


def test_a_recovery_is_a_reason_beside_a_stall(scenario: StatusScenario) -> None:
    scenario.bridge.state = "recovering"
    scenario.bridge.recovery = RecoveryProgress(
        Gap(None, at(9), 0.0), 10, PipelineContext(Pulse(scenario.clock))
    )
    scenario.window.admit(Delivery(at(1), 1, sent=scenario.clock.monotonic()))
    recovering = "recovering from the jobs' history: 0 of 10 jobs read, all transitions"
    assert scenario.reasons == [recovering], "messages in flight are not a stall"

    scenario.clock.advance(STALL_SECONDS + 1)
    scenario.beat()

    assert scenario.reasons == [recovering, stalled(11.0, lambda: "")]
    assert scenario.gauge("recovery_jobs") == 10
    assert scenario.gauge("recovery_jobs_done") == 0


def test_a_hanging_loop_is_not_alive(scenario: StatusScenario) -> None:
    scenario.clock.advance(HANG_SECONDS - 1)
    assert scenario.get("/livez") == ("200 OK", "alive\n")

    scenario.clock.advance(1)
    assert scenario.get("/livez") == (
        "503 Service Unavailable",
        "the main loop has not run for 90 seconds\n",
    )


def test_a_bridge_without_a_loop_is_alive(scenario: StatusScenario) -> None:
    """Waiting for MongoDB, for Kafka or as a standby may take days."""
    scenario.bridge.looping = False
    scenario.clock.advance(10 * HANG_SECONDS)

    assert scenario.get("/livez") == ("200 OK", "alive\n")


def test_lag_needs_both_ends(scenario: StatusScenario) -> None:
    assert scenario.gauge("lag_seconds") is None

    scenario.bridge.position = at(3)
    assert scenario.gauge("lag_seconds") is None

    scenario.health.report(oplog=OplogTimes(ClusterTime(BASE + 10)))
    assert scenario.gauge("lag_seconds") == 7.0


def test_lag_has_two_parts(scenario: StatusScenario) -> None:
    """Events that were read and not delivered are no fault of the source."""
    scenario.bridge.position = at(3)
    scenario.bridge.reached = at(8)
    scenario.health.report(oplog=OplogTimes(ClusterTime(BASE + 10)))

    assert scenario.gauge("source_lag_seconds") == 2.0
    assert scenario.gauge("delivery_lag_seconds") == 5.0
    assert scenario.gauge("lag_seconds") == 7.0


def test_lag_is_never_negative(scenario: StatusScenario) -> None:
    scenario.bridge.position = at(20)
    scenario.health.report(oplog=OplogTimes(ClusterTime(BASE + 10)))

    assert scenario.gauge("lag_seconds") == 0.0


def test_headroom_is_before_the_stored_checkpoint(scenario: StatusScenario) -> None:
    scenario.health.report(oplog=OplogTimes(oldest=ClusterTime(BASE - 90)))
    assert scenario.gauge("oplog_headroom_seconds") is None

    scenario.bridge.stored = checkpoint(10)
    assert scenario.gauge("oplog_headroom_seconds") == 100.0


def test_messages_in_flight_have_gauges(scenario: StatusScenario) -> None:
    scenario.window.admit(Delivery(at(1), 30, sent=scenario.clock.monotonic()))
    scenario.window.admit(Delivery(at(2), 12, sent=scenario.clock.monotonic()))
    scenario.clock.advance(4.0)

    assert scenario.gauge("in_flight_messages") == 2
    assert scenario.gauge("in_flight_bytes") == 42
    assert scenario.gauge("in_flight_oldest_seconds") == 4.0

    scenario.bridge.in_flight = None
    assert scenario.gauge("in_flight_messages") == 0
    assert scenario.gauge("in_flight_oldest_seconds") == 0.0


def test_a_checkpoint_never_stored_has_no_time(scenario: StatusScenario) -> None:
    scenario.bridge.stored = replace(checkpoint(), saved_at=0.0)
    assert scenario.gauge("last_checkpoint_timestamp_seconds") is None

    scenario.bridge.stored = checkpoint()
    assert scenario.gauge("last_checkpoint_timestamp_seconds") == 123.5


def test_the_document_shortens_the_token(scenario: StatusScenario) -> None:
    scenario.bridge.stored = checkpoint()
    scenario.bridge.position = at(1)
    scenario.bridge.counters.skip("delete")

    code, text = scenario.get("/status.json")

    document = json.loads(text)
    assert code == "200 OK"
    assert document["namespace"] == "db.jobs"
    assert document["state"] == "running"
    assert document["ready"] is True
    assert document["notes"] == []
    assert document["skipped"] == {"delete": 1}
    assert document["checkpoint"]["token"] == token(0)[:24]
    assert token(0) not in text and token(1) not in text


def test_other_paths_list_the_pages(scenario: StatusScenario) -> None:
    assert scenario.get("/else") == (
        "404 Not Found",
        "/ /metrics /livez /readyz /status.json /history.json /events\n",
    )
    assert scenario.get("/metrics")[0] == "200 OK"


def test_a_used_port_is_an_error() -> None:
    status = StatusScenario().status
    empty = CollectorRegistry()
    with HttpServer("127.0.0.1", 0, status, registry=empty) as server:
        port = server.port
        with pytest.raises(Misconfigured, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            HttpServer("127.0.0.1", port, status, registry=empty)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("bridge.example.com", "http://bridge.example.com:80"),
    ],
)
def test_the_address_is_a_url(host: str, url: str) -> None:
    assert settings(http__host=host).http.url(80) == url


def test_a_host_with_several_addresses_has_a_port(scenario: StatusScenario) -> None:
    with HttpServer("localhost", 0, scenario.status, registry=CollectorRegistry()) as server:
        assert server.port > 0


def test_the_server_serves_the_status(scenario: StatusScenario) -> None:
    with (
        HttpServer("127.0.0.1", 0, scenario.status, registry=CollectorRegistry()) as server,
        urlopen(f"http://127.0.0.1:{server.port}/readyz") as answer,
    ):
        assert (answer.status, answer.read()) == (200, b"ready\n")


def test_a_deployment_without_streams_has_a_note(scenario: StatusScenario) -> None:
    scenario.bridge.streams = False

    assert json.loads(scenario.get("/status.json")[1])["notes"] == [SWEEP_ONLY]
