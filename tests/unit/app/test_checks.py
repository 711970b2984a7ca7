"""The questions to MongoDB and Kafka: which answers keep a bridge from being ready."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from bridge.app.bridge import Bridge
from bridge.app.checks import KafkaCheck, MongoDbCheck
from bridge.errors import NotPermitted, Retryable
from bridge.model.health import MAJORITY_SECONDS
from bridge.mongo.cluster import NewestWrites
from bridge.observability.snapshot import OplogTimes
from tests.support.factories import checkpoint, settings, transition
from tests.support.fakes import FakeClock
from tests.support.probed_bridge import EARLY, LATE, ProbedBridge


class CheckScenario:
    """The check of MongoDB for a bridge that has delivered nothing yet."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.bridge = ProbedBridge()
        self.jobs = self.bridge.jobs
        self.check = MongoDbCheck(
            settings(mongo__database="db", **options), cast(Bridge, self.bridge), self.clock
        )

    def deliver(self, number: int = 1) -> None:
        """Let the bridge have delivered a transition."""
        self.bridge.stored = replace(checkpoint(number), delivered=transition(number))

    def reason(self, seconds: float = 0.0) -> str:
        """Ask, ``seconds`` later, and return the reason."""
        self.clock.advance(seconds)
        self.check.ask()
        return self.check.reason(self.clock.monotonic())


def test_jobs_that_fit_are_no_reason() -> None:
    scenario = CheckScenario()

    assert scenario.reason() == ""
    assert scenario.check.collection_exists is True
    assert scenario.check.oplog_times() == OplogTimes(LATE, EARLY)


def test_documents_that_do_not_fit_count() -> None:
    scenario = CheckScenario()
    scenario.jobs.problem = "the job id id is missing"

    reason = scenario.reason()

    assert "documents of db.jobs do not fit jobs.profile = cts" in reason
    assert "the job id id is missing" in reason
    scenario.jobs.problem = ""
    assert scenario.reason() == ""


def test_a_delivered_transition_proves_the_profile() -> None:
    """A few odd documents among the sampled ones are then no reason."""
    scenario = CheckScenario()
    scenario.bridge.stored = checkpoint(0)
    scenario.jobs.problem = "the job id id is missing"
    assert scenario.reason()

    scenario.deliver()

    assert scenario.reason() == ""
    assert scenario.reason(60.0) == ""
    assert scenario.jobs.sampled == 1


def test_an_earlier_delivery_proves_nothing() -> None:
    """The settings may be others since the checkpoint was stored."""
    scenario = CheckScenario()
    scenario.deliver(1)
    scenario.jobs.problem = "the job id id is missing"

    assert scenario.reason()
    assert scenario.reason(60.0)

    scenario.deliver(2)
    assert scenario.reason() == ""


def test_misfits_count_at_the_next_question() -> None:
    """The collection existed before and was empty."""
    scenario = CheckScenario()
    assert scenario.reason() == ""

    scenario.jobs.problem = "the job id id is missing"

    assert scenario.reason(5.0)


def test_a_missing_collection_is_only_noted(caplog: pytest.LogCaptureFixture) -> None:
    scenario = CheckScenario()
    scenario.jobs.exists = False
    with caplog.at_level("INFO", "bridge"):
        for _ in range(100):
            assert scenario.reason(4.0) == ""

        assert scenario.check.collection_exists is False
        assert len(caplog.messages) == 2, "once in a few minutes"
        assert "the collection db.jobs does not exist" in caplog.messages[0]

        scenario.jobs.exists = True
        assert scenario.reason() == ""
    assert scenario.check.collection_exists is True
    assert "the collection db.jobs exists after" in caplog.messages[-1]


def test_the_oplog_is_read_only_for_scrapes() -> None:
    """``serverStatus`` costs the server more than the other questions."""
    scenario = CheckScenario()
    for _ in range(5):
        scenario.reason()
    assert scenario.jobs.oplog_reads == 1

    scenario.check.oplog_times()
    scenario.reason()
    assert scenario.jobs.oplog_reads == 2


def test_a_collection_is_looked_at_seldom() -> None:
    """A bridge that works needs no proof of it several times a minute."""
    scenario = CheckScenario()
    scenario.deliver(1)
    scenario.reason()
    scenario.deliver(2)
    scenario.jobs.looked = 0
    for _ in range(12):
        scenario.reason(10.0)

    assert scenario.jobs.looked == 2


def test_a_majority_that_stands_still_counts() -> None:
    scenario = CheckScenario()
    scenario.jobs.writes = NewestWrites(LATE, EARLY)
    assert scenario.reason() == ""

    assert "majority" in scenario.reason(MAJORITY_SECONDS)

    scenario.jobs.writes = NewestWrites(LATE, LATE)
    assert scenario.reason() == ""


def test_a_failure_leaves_no_stale_answers() -> None:
    """The next question uses another client."""
    scenario = CheckScenario()
    scenario.reason()
    scenario.jobs.failure = Retryable("MongoDB is unreachable", part="mongodb")

    with pytest.raises(Retryable):
        scenario.check.ask()

    assert scenario.check.oplog_times() == OplogTimes()
    assert [probe.closed for probe in scenario.bridge.source_probes] == [True]
    scenario.jobs.failure = None
    scenario.reason()
    assert len(scenario.bridge.source_probes) == 2


def test_tags_need_the_right_to_remove_them() -> None:
    scenario = CheckScenario(delivery__mode="background-jobs", sweep__job_tag="unsent")
    scenario.reason()
    scenario.jobs.tag_failure = NotPermitted("no update", part="mongodb")

    with pytest.raises(NotPermitted):
        scenario.reason(5.0)


def test_other_modes_need_no_tags() -> None:
    scenario = CheckScenario()
    scenario.jobs.tag_failure = NotPermitted("no update", part="mongodb")

    assert scenario.reason() == ""


def test_a_failed_topic_gets_another_client() -> None:
    bridge = ProbedBridge()
    check = KafkaCheck(cast(Bridge, bridge))
    check.ask()
    bridge.topic_probes[0].failure = Retryable("Kafka is unreachable", part="kafka")

    with pytest.raises(Retryable):
        check.ask()
    check.ask()
    check.ask()

    assert [probe.closed for probe in bridge.topic_probes] == [True, False]
    check.close()
    assert bridge.topic_probes[1].closed
