"""The rules of readiness: how long a silence may last, and that idleness is not a silence."""

from __future__ import annotations

import pytest

from bridge.model.health import (
    ANSWER_SECONDS,
    LOG_SECONDS,
    LOOP_SECONDS,
    MAJORITY_SECONDS,
    Answers,
    Majority,
    blocked_log,
    silent_loop,
)
from bridge.model.position import ClusterTime

EARLY, LATE = ClusterTime(10), ClusterTime(20)


class TestAnswers:
    """The answers of a server."""

    def test_an_answer_is_recent_for_seconds(self) -> None:
        answers = Answers("Kafka", 0.0).answered(100.0)

        assert answers.reason(100.0 + ANSWER_SECONDS - 0.1) == ""
        assert answers.up(100.0 + ANSWER_SECONDS - 0.1) is True
        assert answers.reason(100.0 + ANSWER_SECONDS) == "Kafka has not answered for 8 s"
        assert answers.up(100.0 + ANSWER_SECONDS) is False

    def test_outages_show_within_ten_seconds(self) -> None:
        assert ANSWER_SECONDS < 10

    def test_a_short_failure_is_no_reason(self) -> None:
        answers = Answers("Kafka", 0.0).answered(100.0).failed("refused", lasting=False)

        assert answers.reason(102.0) == ""
        assert answers.reason(100.0 + ANSWER_SECONDS) == "refused"

    def test_a_lasting_failure_counts_at_once(self) -> None:
        answers = Answers("Kafka", 0.0).answered(100.0).failed("no permission", lasting=True)

        assert answers.reason(100.1) == "no permission"

    def test_an_answer_ends_a_failure(self) -> None:
        answers = Answers("Kafka", 0.0).failed("refused", lasting=True).answered(60.0)

        assert (answers.reason(60.0), answers.up(60.0)) == ("", True)

    def test_nothing_is_known_before_an_answer(self) -> None:
        answers = Answers("Kafka", 0.0)

        assert answers.up(1.0) is None
        assert answers.failed("refused", lasting=False).up(1.0) is None
        assert answers.up(ANSWER_SECONDS) is False


class TestMajority:
    """The progress of a majority."""

    def test_a_majority_that_stands_still_counts(self) -> None:
        majority = Majority()
        for now in range(0, 20, 5):
            newest = ClusterTime(20 + now)
            majority = majority.reported(float(now), newest, EARLY)

        assert majority.reason(MAJORITY_SECONDS - 1) == ""
        assert "has not confirmed a write of the primary for 15 s" in majority.reason(15.0)

    def test_stalls_show_within_thirty_seconds(self) -> None:
        """An idle primary writes a no-op every ten seconds; only then can a stall be seen."""
        assert MAJORITY_SECONDS + 10 < 30

    def test_an_idle_cluster_is_well(self) -> None:
        majority = Majority().reported(0.0, LATE, LATE).reported(3600.0, LATE, LATE)

        assert majority.reason(7200.0) == ""

    def test_a_slow_majority_is_well(self) -> None:
        """It is always late and always advances: that is lag."""
        majority = Majority()
        for now in range(100):
            majority = majority.reported(float(now), ClusterTime(200 + now), ClusterTime(100 + now))

        assert majority.reason(100.0) == ""

    def test_a_majority_that_catches_up_is_well(self) -> None:
        majority = Majority().reported(0.0, LATE, EARLY)
        assert majority.reason(60.0)

        assert majority.reported(60.0, LATE, LATE).reason(60.0) == ""

    @pytest.mark.parametrize(("newest", "majority"), [(None, EARLY), (LATE, None)])
    def test_an_unknown_majority_is_no_reason(
        self, newest: ClusterTime | None, majority: ClusterTime | None
    ) -> None:
        """A mongos does not report it."""
        assert Majority().reported(0.0, newest, majority).reason(3600.0) == ""


def test_a_turning_loop_is_no_reason() -> None:
    assert silent_loop(LOOP_SECONDS - 1) == ""
    assert silent_loop(12.0) == "the main loop has not run for 12 s"


def test_a_log_that_is_written_is_no_reason() -> None:
    assert blocked_log(0.0) == blocked_log(LOG_SECONDS / 2) == ""
    assert "the log has accepted nothing for 3 s" in blocked_log(3.0)
