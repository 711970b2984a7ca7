"""The status: ready or why not, alive or hanging, and what is known."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from bridge.errors import Misconfigured
from bridge.model.gap import Gap
from bridge.model.policy import STALL_SECONDS
from bridge.model.position import ClusterTime
from bridge.model.window import Delivery, Window
from bridge.observability.counters import Counters
from bridge.observability.http_server import HttpServer, application
from bridge.observability.status import HANG_SECONDS, Status
from bridge.pipeline.recovery_stream import RecoveryProgress
from tests.support.factories import BASE, at, checkpoint, settings, token
from tests.support.fakes import FakeClock


class Desk:
    def __init__(self) -> None:
        self.clock, self.counters = FakeClock(), Counters()
        self.counters.turned = self.clock.monotonic()
        self.status = Status({"name": "bridge", "namespace": "db.jobs"}, self.clock, self.counters)
        self.status.state, self.status.reason = "running", ""
        self.window = self.status.window = Window(at(0), 10, 100)

    def get(self, path: str) -> tuple[str, str]:
        answers: list[str] = []

        def start_response(code: str, _headers: list[tuple[str, str]]) -> Any:
            answers.append(code)

        environment = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
        body: Iterable[bytes] = application(self.status, CollectorRegistry())(
            environment, start_response
        )
        return answers[0], b"".join(body).decode()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_running_bridge_is_ready(desk: Desk) -> None:
    assert desk.status.reasons() == []
    assert desk.get("/readyz") == ("200 OK", "ready\n")


def test_a_bridge_that_waits_says_why(desk: Desk) -> None:
    desk.status.state, desk.status.reason = "waiting", "MongoDB is out of reach"

    assert desk.get("/readyz") == ("503 Service Unavailable", "MongoDB is out of reach\n")
    assert desk.get("/livez")[0] == "200 OK"


def test_a_new_bridge_is_alive_and_not_ready() -> None:
    status = Status({"name": "bridge"}, FakeClock(), Counters())

    assert status.reasons() == ["starting"]
    assert status.alive()


def test_messages_without_an_acknowledgement_for_long_mean_not_ready(desk: Desk) -> None:
    desk.window.admit(Delivery(at(1), 1, sent=desk.clock.monotonic()))
    desk.status.complaint = lambda: "connection refused"

    desk.clock.advance(STALL_SECONDS)
    assert desk.status.reasons() == []

    desk.clock.advance(1.0)
    assert desk.status.reasons() == [
        "Kafka has not acknowledged anything for 31 s (connection refused)"
    ]


def test_a_recovery_says_how_far_it_is_and_whether_kafka_takes_it(desk: Desk) -> None:
    desk.status.state = "recovering"
    desk.status.recovery = RecoveryProgress(Gap(None, at(9), 0.0), 10, desk.clock)
    desk.window.admit(Delivery(at(1), 1, sent=desk.clock.monotonic()))
    assert desk.status.stalled() == "", "what is under way is no trouble"

    desk.clock.advance(STALL_SECONDS + 1)

    assert desk.status.stalled().startswith("Kafka has not acknowledged anything for 31 s")
    assert desk.status.reasons() == [
        "publishing from the jobs' history: 0 of 10 jobs read",
        desk.status.stalled(),
    ]


def test_a_loop_that_does_not_turn_is_not_alive(desk: Desk) -> None:
    desk.clock.advance(HANG_SECONDS - 1)
    assert desk.get("/livez") == ("200 OK", "alive\n")

    desk.clock.advance(1)
    assert desk.get("/livez")[0] == "503 Service Unavailable"


def test_lag_is_unknown_until_both_ends_are_known(desk: Desk) -> None:
    assert desk.status.gauges()["job_bridge_lag_seconds"] is None

    desk.status.position = lambda: at(3)
    assert desk.status.gauges()["job_bridge_lag_seconds"] is None

    desk.status.ask(lambda: ClusterTime(BASE + 10), lambda: None)
    assert desk.status.gauges()["job_bridge_lag_seconds"] == 7.0


def test_lag_is_never_below_zero(desk: Desk) -> None:
    desk.status.position = lambda: at(20)
    desk.status.ask(lambda: ClusterTime(BASE + 10), lambda: None)

    assert desk.status.gauges()["job_bridge_lag_seconds"] == 0.0


def test_headroom_is_between_the_oldest_entry_and_the_stored_checkpoint(desk: Desk) -> None:
    desk.status.ask(lambda: None, lambda: ClusterTime(BASE - 90))
    assert desk.status.gauges()["job_bridge_oplog_headroom_seconds"] is None

    desk.status.stored = lambda: checkpoint(10)
    assert desk.status.gauges()["job_bridge_oplog_headroom_seconds"] == 100.0


def test_mongodb_is_not_asked_at_every_scrape(desk: Desk) -> None:
    asked: list[float] = []
    desk.status.position = lambda: at(3)

    def last_write() -> ClusterTime:
        asked.append(desk.clock.monotonic())
        return ClusterTime(BASE + 10 + len(asked))

    desk.status.ask(last_write, lambda: None)
    lags = []
    for seconds in (0.0, 1.9, 0.1):
        desk.clock.advance(seconds)
        lags.append(desk.status.gauges()["job_bridge_lag_seconds"])

    assert lags == [8.0, 8.0, 9.0]


def test_what_is_in_flight_is_told(desk: Desk) -> None:
    desk.window.admit(Delivery(at(1), 30, sent=desk.clock.monotonic()))
    desk.window.admit(Delivery(at(2), 12, sent=desk.clock.monotonic()))
    desk.clock.advance(4.0)
    found = desk.status.gauges()

    assert found["job_bridge_in_flight_messages"] == 2
    assert found["job_bridge_in_flight_bytes"] == 42
    assert found["job_bridge_in_flight_oldest_seconds"] == 4.0


def test_a_checkpoint_never_saved_has_no_time(desk: Desk) -> None:
    desk.status.stored = lambda: replace(checkpoint(), saved_at=0.0)
    assert desk.status.gauges()["job_bridge_last_checkpoint_timestamp_seconds"] is None

    desk.status.stored = checkpoint
    assert desk.status.gauges()["job_bridge_last_checkpoint_timestamp_seconds"] == 123.5


def test_the_document_tells_everything_but_the_whole_token(desk: Desk) -> None:
    desk.status.stored = checkpoint
    desk.status.position = lambda: at(1)
    desk.counters.skip("delete")

    code, text = desk.get("/status.json")

    found = json.loads(text)
    assert code == "200 OK"
    assert (
        found["namespace"] == "db.jobs" and found["state"] == "running" and found["ready"] is True
    )
    assert found["skipped"] == {"delete": 1}
    assert found["checkpoint"]["token"] == token(0)[:24]
    assert token(0) not in text and token(1) not in text


def test_any_other_path_is_answered_with_those_there_are(desk: Desk) -> None:
    assert desk.get("/else") == ("404 Not Found", "/metrics /livez /readyz /status.json\n")
    assert desk.get("/metrics")[0] == "200 OK"


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the library leaks what it could not bind
def test_a_port_that_is_taken_is_said() -> None:
    status = Desk().status
    with HttpServer("127.0.0.1", 0, status, CollectorRegistry()) as web:
        port = web.port
        with pytest.raises(Misconfigured, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            HttpServer("127.0.0.1", port, status, CollectorRegistry())
    gc.collect()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("bridge.example.com", "http://bridge.example.com:80"),
    ],
)
def test_an_address_is_told_as_a_browser_takes_it(host: str, url: str) -> None:
    assert settings(http__host=host).http.url(80) == url


def test_on_a_host_with_several_addresses_the_port_is_one_that_is_served(desk: Desk) -> None:
    with HttpServer("localhost", 0, desk.status, CollectorRegistry()) as web:
        assert web.port > 0


def test_what_is_served_is_the_status(desk: Desk) -> None:
    with (
        HttpServer("127.0.0.1", 0, desk.status, CollectorRegistry()) as web,
        urlopen(f"http://127.0.0.1:{web.port}/readyz") as answer,
    ):
        assert (answer.status, answer.read()) == (200, b"ready\n")
