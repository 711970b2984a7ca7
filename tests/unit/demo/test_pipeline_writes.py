"""The pipeline updates of the newest CTS, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.demo.job_service.pipeline_writes import (
    newest_trans_id,
    refused_update,
    time_of,
    update_of,
)
from bridge.demo.job_service.workload import Action, Commit, Obstacle, Step

NOON = datetime(2026, 3, 2, 12, 0, 0, 511_000, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1)


def at(state: str, time: datetime = NOON) -> Commit:
    return Commit("j", 3, state, time, f"t-{state}")


def conditions(step: Step, last: Commit, commit: Commit) -> list[object]:
    condition = update_of(step, last, commit).pipeline[0]["$set"]["state"]["$cond"][0]
    parts: list[object] = condition["$and"]
    return parts


def test_a_transition_is_one_conditional_update() -> None:
    step = Step("job_submitted", {"jaws_details.run_id": "r"}, {"cpu_factor": 0.5})

    query, pipeline = update_of(step, at("job_submitting"), at("job_submitted", LATER))

    condition = {
        "$and": [{"$lte": ["$_update_time", LATER]}, {"$eq": ["$state", "job_submitting"]}]
    }
    entry = {
        "state": "job_submitted",
        "time": LATER,
        "_retry": 0,
        "trans_id": "t-job_submitted",
        "notif_sent": False,
    }
    history = {"$concatArrays": ["$transition_times", [{"$literal": entry}]]}
    runs = {
        "$concatArrays": [{"$ifNull": ["$jaws_details.run_id", []]}, [{"$literal": "r"}]],
    }
    assert query == {"id": "j"}
    assert pipeline == [
        {
            "$set": {
                "state": {"$cond": [condition, {"$literal": "job_submitted"}, "$state"]},
                "_update_time": {"$cond": [condition, LATER, "$_update_time"]},
                "transition_times": {"$cond": [condition, history, "$transition_times"]},
                "cpu_factor": {"$cond": [condition, {"$literal": 0.5}, "$cpu_factor"]},
                "jaws_details.run_id": {"$cond": [condition, runs, "$jaws_details.run_id"]},
            }
        }
    ]


def test_a_recovery_archives_and_starts_again() -> None:
    step = Step("download_submitted", action=Action.RECOVER)

    query, pipeline = update_of(step, at("recovering"), at("download_submitted", LATER))

    (element,) = pipeline[0]["$set"]["transition_times"]
    assert query == {"id": "j", "state": "recovering", "_update_time": {"$lte": LATER}}
    assert pipeline[0]["$set"]["trans_history"] == {
        "$concatArrays": [{"$ifNull": ["$trans_history", []]}, "$transition_times"]
    }
    assert list(element["$literal"]) == ["state", "time", "trans_id", "notif_sent", "_retry"]
    assert pipeline[0]["$set"]["cleaned"] is False
    assert pipeline[1] == {"$unset": ["error", "admin_error", "traceback"]}


def test_a_started_recovery_respects_the_cool_down() -> None:
    started = Step("recovering", action=Action.START_RECOVERY)
    forced = Step("recovering", action=Action.FORCE_RECOVERY)
    last, commit = at("error"), at("recovering", LATER)

    assert "_last_recover" in update_of(started, last, commit).pipeline[0]["$set"]
    assert conditions(started, last, commit)[:2] == conditions(forced, last, commit)[:2]
    assert conditions(started, last, commit)[2] != conditions(forced, last, commit)[2]


def test_a_forced_recovery_is_later_than_the_last() -> None:
    """So its own update, repeated, finds a recovery that is not older."""
    step = Step("recovering", action=Action.FORCE_RECOVERY)

    assert time_of(step, at("recovering"), NOON) == NOON + timedelta(milliseconds=1)
    assert time_of(Step("error"), at("recovering"), NOON - timedelta(hours=1)) == NOON


@pytest.mark.parametrize("obstacle", list(Obstacle))
def test_a_refused_update_has_its_own_identity(obstacle: Obstacle) -> None:
    step, last = Step("recovering"), at("error")

    entries = {
        str(refused_update(obstacle, step, last).pipeline[0]["$set"]["transition_times"])
        for _ in range(2)
    }

    assert len(entries) == 2 and not any(last.trans_id in entry for entry in entries)


def test_the_answer_contains_the_newest_transition() -> None:
    assert newest_trans_id({"transition_times": [{"trans_id": "t"}]}) == "t"
    assert newest_trans_id(None) == ""
