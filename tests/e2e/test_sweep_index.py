"""The index of a sweep: missed, made, and never taken for that of other tags."""

from __future__ import annotations

import pytest

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.mongo import Client
from tests.support.sweeps import TAG, sweep_once

#: An index is named by its fields.
OF_TRANSITIONS = "job_bridge_sweep-transition_times.notif_sent-transition_times.time"
OF_JOBS = f"job_bridge_sweep-{TAG}-_update_time"


@pytest.fixture
def ways(settings: GivenSettings, by_job: GivenSettings) -> dict[str, GivenSettings]:
    """Settings for a sweep of different tags."""
    return {
        "transitions": {**settings, "delivery.mode": "background-transitions"},
        "jobs": by_job,
        "another tag": {**by_job, "sweep.job_tag": "another_tag"},
    }


def test_a_missing_index_is_reported_and_created(
    ways: dict[str, GivenSettings], jobs: JobWriter
) -> None:
    for settings, name in ((ways["transitions"], OF_TRANSITIONS), (ways["jobs"], OF_JOBS)):
        jobs.collection.drop_indexes()
        assert "the sweep has no index" in run_command("sweep", "--once", settings=settings).err
        checked = run_command("check", settings=settings)
        assert (
            f"the index {name} is missing" in checked.out
            and "job-bridge sweep --create-index" in checked.out
        )

        made = run_command("sweep", "--create-index", settings=settings)

        assert (made.code, made.out) == (0, f"created the index {name}\n")
        assert name in jobs.collection.index_information()
        assert "no index" not in run_command("sweep", "--once", settings=settings).err
        assert f"{name} is missing" not in run_command("check", settings=settings).out
        again = run_command("sweep", "--create-index", settings=settings)
        assert again.out == "sweeps already have an index: nothing was changed\n"


@pytest.mark.parametrize(
    ("wanted", "there"), [("transitions", "jobs"), ("jobs", "transitions"), ("jobs", "another tag")]
)
def test_an_index_of_other_tags_hides_nothing(
    wanted: str, there: str, ways: dict[str, GivenSettings], jobs: JobWriter
) -> None:
    settings, count = ways[wanted], 3 if wanted == "transitions" else 1
    run_command("sweep", "--create-index", settings=ways[there])
    jobs.add_past(*GOOD, **{TAG: True})

    assert sweep_once(settings) == count

    name = OF_TRANSITIONS if wanted == "transitions" else OF_JOBS
    assert f"the index {name} is missing" in run_command("check", settings=settings).out
    assert (
        run_command("sweep", "--create-index", settings=settings).out
        == f"created the index {name}\n"
    )
    jobs.add_past(*GOOD, **{TAG: True})
    assert sweep_once(settings) == count


def test_a_missing_collection_is_created_with_its_index(
    ways: dict[str, GivenSettings], client: Client, database: str
) -> None:
    for settings, name in ((ways["transitions"], OF_TRANSITIONS), (ways["jobs"], OF_JOBS)):
        client[database].drop_collection("jobs")
        assert f"the index {name} is missing" in run_command("check", settings=settings).out

        assert (
            run_command("sweep", "--create-index", settings=settings).out
            == f"created the index {name}\n"
        )

        assert name in client[database]["jobs"].index_information()
