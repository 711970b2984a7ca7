"""The index of a sweep: missed, made, and never taken for that of other tags."""

from __future__ import annotations

import re

import pytest

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.mongo import Client
from tests.support.sweeps import TAG, sweep_once

CREATES = "'job-bridge sweep --create-index' creates"
#: An index is named by its fields; that of the archive comes first.
OF_TRANSITIONS = [
    f"job_bridge_sweep-{array}.notif_sent-{array}.time"
    for array in ("trans_history", "transition_times")
]
OF_JOBS = [f"job_bridge_sweep-{TAG}-_update_time"]


def created(names: list[str]) -> str:
    return "".join(f"created the index {name}\n" for name in names)


def missing(settings: GivenSettings) -> list[str]:
    """The indexes that ``check`` reports as missing."""
    return re.findall(
        r"the index (\S+) is missing: each sweep reads every job",
        run_command("check", settings=settings).out,
    )


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
    for settings, names in ((ways["transitions"], OF_TRANSITIONS), (ways["jobs"], OF_JOBS)):
        jobs.collection.drop_indexes()
        swept = run_command("sweep", "--once", settings=settings).err
        assert f"the sweep lacks an index, so it scans every job; {CREATES}" in swept
        assert f"{CREATES} {' and '.join(names)}\n" in swept
        assert missing(settings) == names

        made = run_command("sweep", "--create-index", settings=settings)

        assert (made.code, made.out) == (0, created(names))
        assert {*names} <= jobs.collection.index_information().keys()
        assert "lacks an index" not in run_command("sweep", "--once", settings=settings).err
        assert missing(settings) == []
        again = run_command("sweep", "--create-index", settings=settings)
        assert again.out == "sweeps already have an index: nothing was changed\n"


def test_an_archive_adds_one_index(ways: dict[str, GivenSettings], jobs: JobWriter) -> None:
    """After an upgrade, the index of the current transitions exists already."""
    settings = ways["transitions"]
    custom = {
        **settings,
        "jobs.profile": "custom",
        "jobs.id_field": "id",
        "jobs.state_field": "state",
        "jobs.transitions_field": "transition_times",
        "jobs.updated_field": "_update_time",
    }
    assert run_command("sweep", "--create-index", settings=custom).out == created(
        OF_TRANSITIONS[1:]
    )
    assert missing(custom) == []
    assert missing(settings) == OF_TRANSITIONS[:1]

    made = run_command("sweep", "--create-index", settings=settings)

    assert made.out == created(OF_TRANSITIONS[:1])


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

    names = OF_TRANSITIONS if wanted == "transitions" else OF_JOBS
    assert missing(settings) == names
    assert run_command("sweep", "--create-index", settings=settings).out == created(names)
    jobs.add_past(*GOOD, **{TAG: True})
    assert sweep_once(settings) == count


def test_a_missing_collection_is_created_with_its_index(
    ways: dict[str, GivenSettings], client: Client, database: str
) -> None:
    for settings, names in ((ways["transitions"], OF_TRANSITIONS), (ways["jobs"], OF_JOBS)):
        client[database].drop_collection("jobs")
        assert missing(settings) == names

        assert run_command("sweep", "--create-index", settings=settings).out == created(names)

        assert {*names} <= client[database]["jobs"].index_information().keys()
