"""The health of a bridge: the answers of both probes and the state of the log, together."""

from __future__ import annotations

from typing import cast

import pytest

from bridge import logs
from bridge.app.bridge import Bridge
from bridge.app.health import Health
from bridge.demo.servers.process import poll
from bridge.errors import Retryable
from bridge.model.health import ANSWER_SECONDS
from tests.support.factories import settings
from tests.support.fakes import FakeClock
from tests.support.probed_bridge import ProbedBridge


class HealthScenario:
    """The health of a bridge whose servers answer."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bridge = ProbedBridge()
        chosen = settings(mongo__database="db")
        self.health = Health(chosen, cast(Bridge, self.bridge), self.clock)

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.health.state().reasons

    def await_answers(self) -> None:
        def answered() -> bool:
            state = self.health.state()
            return bool(state.kafka_up and state.mongodb_up)

        poll(answered, "both answers")


def test_a_bridge_waits_for_the_first_look() -> None:
    """It would be ready for a moment although the documents do not fit."""
    state = HealthScenario().health.state()

    assert state.reasons == ("MongoDB has not answered yet",)
    assert (state.kafka_up, state.mongodb_up, state.collection_exists) == (None, None, None)


def test_answers_of_both_servers_are_well() -> None:
    scenario = HealthScenario()
    with scenario.health:
        scenario.await_answers()
        state = scenario.health.state()

    assert (state.reasons, state.notes) == ((), ())
    assert (state.kafka_up, state.mongodb_up, state.collection_exists) == (True, True, True)
    assert scenario.bridge.source_probes[0].closed
    assert scenario.bridge.topic_probes[0].closed


def test_each_server_has_its_reason() -> None:
    scenario = HealthScenario()
    scenario.bridge.jobs.failure = Retryable("MongoDB is unreachable", part="mongodb")
    with scenario.health:
        poll(lambda: scenario.health.state().kafka_up is True, "Kafka's answer")
        scenario.clock.advance(ANSWER_SECONDS)
        kafka, mongodb = scenario.reasons

    assert kafka == "Kafka has not answered for 8 s"
    assert mongodb == "MongoDB is unreachable"


def test_a_missing_collection_is_a_note() -> None:
    scenario = HealthScenario()
    scenario.bridge.jobs.exists = False
    with scenario.health:
        scenario.await_answers()
        state = scenario.health.state()

    assert state.reasons == ()
    assert state.collection_exists is False
    (note,) = state.notes
    assert "the collection db.jobs does not exist" in note


def test_a_blocked_log_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = HealthScenario()
    with scenario.health:
        scenario.await_answers()
        monkeypatch.setattr(logs, "blocked", lambda: 5.0)
        monkeypatch.setattr(logs, "dropped", lambda: 3)
        state = scenario.health.state()

    (reason,) = state.reasons
    assert "the log has accepted nothing for 5 s" in reason
    assert state.log_lines_dropped == 3
