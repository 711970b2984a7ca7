"""Readiness beside the state and the messages in flight: the loop, the servers, and notes."""

from __future__ import annotations

import json

import pytest

from bridge.model.health import LOOP_SECONDS
from bridge.model.policy import STALL_SECONDS
from bridge.model.window import Delivery
from tests.support.factories import at
from tests.unit.observability.test_status import StatusScenario


@pytest.fixture
def scenario() -> StatusScenario:
    return StatusScenario()


def test_a_silent_loop_means_not_ready(scenario: StatusScenario) -> None:
    scenario.clock.advance(LOOP_SECONDS - 1)
    assert scenario.reasons == []

    scenario.clock.advance(1)
    assert scenario.reasons == ["the main loop has not run for 10 s"]

    scenario.beat()
    assert scenario.reasons == []


def test_health_means_not_ready(scenario: StatusScenario) -> None:
    scenario.health.report(reasons=("Kafka refuses connections", "the log is blocked"))

    code, text = scenario.get("/readyz")

    assert (code[:3], text) == ("503", "Kafka refuses connections\nthe log is blocked\n")
    assert scenario.gauge("ready") == 0
    assert scenario.get("/livez")[0] == "200 OK"


def test_a_note_leaves_the_bridge_ready(scenario: StatusScenario) -> None:
    scenario.health.report(notes=("the collection does not exist",), collection_exists=False)

    assert scenario.get("/readyz") == ("200 OK", "ready\nnote: the collection does not exist\n")
    notes = json.loads(scenario.get("/status.json")[1])["notes"]
    assert notes == ["the collection does not exist"]
    assert scenario.gauge("collection_exists") == 0


def test_a_failed_session_is_the_only_reason(scenario: StatusScenario) -> None:
    """It names its cause, and probes would repeat it in other words."""
    scenario.bridge.looping = False
    scenario.bridge.reason = "Kafka is unreachable"
    scenario.health.report(reasons=("Kafka refuses connections",))

    assert scenario.reasons == ["Kafka is unreachable"]


def test_a_cause_is_named_once(scenario: StatusScenario) -> None:
    """The messages in flight wait for the reason that Kafka's probe names in full."""
    scenario.window.admit(Delivery(at(1), 1, sent=scenario.clock.monotonic()))
    scenario.bridge.warning = "connection refused"
    scenario.clock.advance(STALL_SECONDS)
    scenario.beat()
    scenario.health.report(kafka_up=False, reasons=("Kafka refuses connections",))

    assert scenario.reasons == [
        "Kafka has not acknowledged anything for 10 s",
        "Kafka refuses connections",
    ]
