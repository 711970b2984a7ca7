"""Readiness beside the state and the messages in flight: the loop, the servers, and notes."""

from __future__ import annotations

import json

import pytest

from bridge.model.health import LOOP_SECONDS
from bridge.model.policy import STALL_SECONDS
from bridge.model.window import Delivery
from bridge.observability.snapshot import OwnershipState
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


STANDBY = "standby: the bridge with process 12 on host-a owns the checkpoint 'db.jobs'"


@pytest.fixture
def standby(scenario: StatusScenario) -> StatusScenario:
    """A standby whose servers answer."""
    scenario.bridge.state = "standby"
    scenario.bridge.looping = False
    scenario.bridge.is_standby = True
    scenario.bridge.reason = STANDBY
    return scenario


def test_a_standby_is_ready_where_asked(standby: StatusScenario) -> None:
    assert standby.get("/readyz") == ("503 Service Unavailable", f"{STANDBY}\n")
    assert standby.get("/readyz", "standby=ok") == ("200 OK", f"{STANDBY}\n")
    assert standby.get("/readyz", "standby=no")[0] == "503 Service Unavailable"
    assert standby.gauge("ready") == 0


def test_a_standby_without_servers_is_not_ready(standby: StatusScenario) -> None:
    standby.health.report(reasons=("MongoDB has not answered yet",))

    code, text = standby.get("/readyz", "standby=ok")

    assert code == "503 Service Unavailable"
    assert text == f"{STANDBY}\nMongoDB has not answered yet\n"


def test_a_paused_standby_is_not_excused(standby: StatusScenario) -> None:
    """It would not deliver after a take-over."""
    standby.bridge.paused_since = 1.0

    assert standby.get("/readyz", "standby=ok") == ("503 Service Unavailable", f"{STANDBY}\n")


def test_a_pause_is_reported_everywhere(scenario: StatusScenario) -> None:
    assert scenario.gauge("paused") == 0
    assert json.loads(scenario.get("/status.json")[1])["paused_since"] is None
    scenario.bridge.state = "paused"
    scenario.bridge.looping = False
    scenario.bridge.paused_since = 86_400.0
    scenario.bridge.reason = "paused since 1970-01-02T00:00:00+00:00: SIGUSR2 resumes"
    # Only a loop that runs may hang.
    scenario.clock.advance(3_600)

    document = json.loads(scenario.get("/status.json")[1])

    assert scenario.get("/readyz") == ("503 Service Unavailable", f"{scenario.bridge.reason}\n")
    assert document["paused_since"] == "1970-01-02T00:00:00+00:00"
    assert (document["state"], document["reasons"]) == ("paused", [scenario.bridge.reason])
    assert (scenario.gauge("paused"), scenario.gauge("ready")) == (1, 0)
    assert scenario.get("/livez")[0] == "200 OK"


def test_only_a_standby_is_excused(scenario: StatusScenario) -> None:
    """A bridge that starts, or waits for a server, is not ready for any question."""
    assert scenario.get("/readyz", "standby=ok") == ("200 OK", "ready\n")
    scenario.bridge.state = "waiting"
    scenario.bridge.looping = False
    scenario.bridge.reason = "Kafka is unreachable"

    assert scenario.get("/readyz", "standby=ok")[0] == "503 Service Unavailable"


def test_the_status_shows_owner_and_standbys(standby: StatusScenario) -> None:
    owner = OwnershipState("the bridge with process 12 on host-a", 60.5, ("b", "c"), is_us=False)
    standby.health.report(ownership=owner)

    assert json.loads(standby.get("/status.json")[1])["ownership"] == {
        "owner": "the bridge with process 12 on host-a",
        "since": 60.5,
        "standbys": ["b", "c"],
        "is_us": False,
    }
    gauges = {
        name: standby.gauge(name) for name in ("owner", "standbys", "owner_since_timestamp_seconds")
    }
    assert gauges == {"owner": 0, "standbys": 2, "owner_since_timestamp_seconds": 60.5}


def test_unknown_members_are_absent(standby: StatusScenario) -> None:
    standby.health.report(ownership=OwnershipState(None, None, None, is_us=False))

    assert standby.gauge("owner") == 0
    assert standby.gauge("standbys") is None
    standby.health.report(ownership=None)
    assert standby.gauge("owner") is None
    assert json.loads(standby.get("/status.json")[1])["ownership"] is None


def test_the_status_has_the_present_name(scenario: StatusScenario) -> None:
    """The store may find its checkpoint under another name."""
    assert scenario.status.snapshot().about["name"] == "bridge"

    scenario.bridge.store.name = "job-bridge"

    assert scenario.status.snapshot().about["name"] == "job-bridge"
