"""The writes of the simulated job service, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import bson
import pytest

from bridge.demo.job_service.journeys import journey
from bridge.demo.job_service.workload import (
    CANCELING,
    FAILING,
    HAPPY,
    Journey,
    Step,
    Workload,
    afterthoughts,
    change,
    guard,
    input_files,
    new_job,
    to_millis,
)

NOON = datetime(2026, 3, 2, 12, 0, 0, 511_000, tzinfo=UTC)


def drawn(workload: Workload, count: int = 200) -> list[Journey]:
    random = Random(7)
    return [journey(random, workload) for _ in range(count)]


def states(plan: Journey) -> tuple[str, ...]:
    return tuple(step.state for step in plan.steps)


def pushed(plan: Journey) -> dict[str, list[str]]:
    return {step.state: sorted(step.push) for step in plan.steps if step.push}


def test_without_errors_and_cancels_every_job_completes() -> None:
    assert {states(plan) for plan in drawn(Workload(error_share=0, cancel_share=0))} == {HAPPY}


def test_a_failing_job_ends_through_error_processing() -> None:
    assert {states(plan) for plan in drawn(Workload(error_share=1, cancel_share=0))} == {FAILING}


def test_a_canceled_job_may_have_come_any_distance() -> None:
    ends = {states(plan) for plan in drawn(Workload(error_share=0, cancel_share=1))}

    assert ends == {(*HAPPY[:length], *CANCELING) for length in range(1, len(HAPPY))}


def test_all_endings_occur_in_about_their_shares() -> None:
    last = [states(plan)[-1] for plan in drawn(Workload(), count=1000)]

    assert 150 < last.count("error") < 250
    assert 60 < last.count("canceled") < 140


def test_the_same_seed_draws_the_same_journeys() -> None:
    assert drawn(Workload()) == drawn(Workload())


def test_jaws_jobs_note_their_transfers_and_their_run() -> None:
    plans = drawn(Workload(error_share=0, cancel_share=0))

    assert next(pushed(plan) for plan in plans if plan.cluster != "kbase") == {
        "download_submitted": ["nersc_details.download_task_id"],
        "job_submitted": ["jaws_details.run_id"],
        "upload_submitted": ["nersc_details.upload_task_id"],
    }


def test_kbase_jobs_note_their_condor_cluster() -> None:
    plans = drawn(Workload(error_share=0, cancel_share=0))

    assert next(pushed(plan) for plan in plans if plan.cluster == "kbase") == {
        "download_submitted": ["htcondor_details.cluster_id"]
    }


def test_a_failed_job_contains_its_error() -> None:
    last = drawn(Workload(error_share=1))[0].steps[-1].fields

    assert {"error", "admin_error", "logpath"} <= last.keys()
    assert last["traceback"] is None


def test_a_new_job_has_one_transition() -> None:
    job = new_job("kbase", NOON, input_files(2000))

    assert [element["state"] for element in job["transition_times"]] == ["created"]
    assert list(job["transition_times"][0]) == ["state", "time", "trans_id", "notif_sent", "_retry"]
    assert None not in job.values()


@pytest.mark.parametrize("size", [2000, 20_000, 1_700_000, 14_000_000])
def test_a_new_job_has_the_size_asked_for(size: int) -> None:
    job = new_job("kbase", NOON, input_files(size))

    assert abs(len(bson.encode(job)) - size) < max(100, size * 0.01)
    assert len(job["job_input"]["input_files"]) <= 10_000


def test_a_transition_is_one_guarded_update() -> None:
    step = Step("complete", {"jaws_details.run_id": "r"}, {"output_file_count": 1})

    assert guard("j", "upload_submitted", NOON) == {
        "id": "j",
        "_update_time": {"$lte": NOON},
        "state": "upload_submitted",
    }
    assert change(step, NOON, "t") == {
        "$push": {
            "transition_times": {
                "state": "complete",
                "time": NOON,
                "_retry": 0,
                "trans_id": "t",
                "notif_sent": False,
            },
            "jaws_details.run_id": "r",
        },
        "$set": {"state": "complete", "_update_time": NOON, "output_file_count": 1},
    }


def test_no_afterthought_touches_state_or_history() -> None:
    keys = {
        key
        for update in afterthoughts("perlmutter-jaws", NOON)
        for part in update.values()
        for key in part
    }

    assert {"admin_meta.state", "admin_meta.transition_times.9", "cleaned"} <= keys
    assert {key.split(".")[0] for key in keys} == {"admin_meta", "nersc_details", "cleaned"}


def test_times_are_kept_as_mongodb_keeps_them() -> None:
    assert to_millis(NOON.replace(microsecond=511_999)) == NOON
