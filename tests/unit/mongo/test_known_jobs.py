"""Known jobs: remembered and forgotten by ``_id``, at most as many as allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from bridge.mongo.followed_history import FollowedHistory
from bridge.mongo.known_jobs import KnownJob, KnownJobs, StatesAtTime
from tests.support.factories import NAIVE_NOON

KEY = ObjectId("6b08167d43c82fb391be9ae4")


def remembered(jobs: KnownJobs, *keys: Any) -> list[KnownJob]:
    known = [KnownJob(f"job-{key}", 7) for key in keys]
    for key, job in zip(keys, known, strict=True):
        jobs.remember(key, job)
    return known


def test_a_remembered_job_is_found() -> None:
    jobs = KnownJobs()
    (job,) = remembered(jobs, "a")

    assert jobs.get("a") is job
    assert jobs.get("b") is None


@pytest.mark.parametrize(
    ("key", "other"), [(KEY, KEY.binary), (KEY, str(KEY)), (True, 1), (1, "1")]
)
def test_similar_keys_are_different_documents(key: Any, other: Any) -> None:
    jobs = KnownJobs()
    known = remembered(jobs, key, other)

    assert [jobs.get(key), jobs.get(other)] == known


def test_an_equal_key_is_found() -> None:
    jobs = KnownJobs()
    (job,) = remembered(jobs, KEY)

    assert jobs.get(ObjectId(KEY.binary)) is job


@pytest.mark.parametrize("key", [KEY, "a", 5, {"site": 1}])
def test_a_forgotten_job_is_not_found(key: Any) -> None:
    jobs = KnownJobs()
    _, job = remembered(jobs, key, "other")

    jobs.forget(key)
    jobs.forget("never known")

    assert [jobs.get(key), jobs.get("other")] == [None, job]


def test_a_job_of_the_older_half_is_forgotten() -> None:
    jobs = KnownJobs(max_jobs=2)
    remembered(jobs, "a", "b")

    jobs.forget("a")
    assert jobs.get("a") is None


def test_all_jobs_are_forgotten_together() -> None:
    jobs = KnownJobs(max_jobs=4)
    remembered(jobs, *"abcd")

    jobs.forget_all()

    assert [jobs.get(key) for key in "abcd"] == [None] * 4


def test_a_rewind_keeps_only_the_ids() -> None:
    """An earlier event may be delivered again, and would be compared with a later history."""
    jobs = KnownJobs(max_jobs=4)
    for job in remembered(jobs, *"abcd"):
        job.history = FollowedHistory((), {})
        job.states = StatesAtTime()

    jobs.rewind("82")

    for key in "abcd":
        known = jobs.get(key)
        assert known is not None
        assert (known.job_id, known.sequence, known.history, known.states) == (
            f"job-{key}",
            *[None] * 3,
        )


def test_a_rewind_forgets_later_ids() -> None:
    """Before it was inserted, the ``_id`` of a document may have belonged to another job."""
    jobs = KnownJobs(max_jobs=4)
    for job, since in zip(remembered(jobs, *"abc"), ("", "8201", "8203"), strict=True):
        job.since = since

    for start, known in (("8202", ["a", "b"]), ("8201", ["a", "b"]), ("8200", ["a"])):
        jobs.rewind(start)
        assert [key for key in "abc" if jobs.get(key)] == known


def test_the_oldest_jobs_are_dropped_first() -> None:
    jobs = KnownJobs(max_jobs=2)
    known = remembered(jobs, *"abc")

    assert [jobs.get(key) for key in "abc"] == [None, *known[1:]]


def test_remembering_again_drops_no_job() -> None:
    jobs = KnownJobs(max_jobs=2)
    known = remembered(jobs, *"abbb")

    assert [jobs.get(key) for key in "ab"] == [known[0], known[-1]]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30))), st.integers(2, 8))
def test_any_use_is_right_and_bounded(uses: list[tuple[bool, int]], max_jobs: int) -> None:
    jobs = KnownJobs(max_jobs)
    expected: dict[int, KnownJob] = {}

    for forget, key in uses:
        if forget:
            jobs.forget(key)
            expected.pop(key, None)
        else:
            (expected[key],) = remembered(jobs, key)
            assert jobs.get(key) is expected[key]
        assert all(jobs.get(key) in (None, expected.get(key)) for key in range(31))
        assert sum(jobs.get(key) is not None for key in range(31)) <= max_jobs


def test_a_state_returns_at_the_same_time() -> None:
    states, later = StatesAtTime(), NAIVE_NOON + timedelta(milliseconds=1)

    assert [states.returns(NAIVE_NOON, state) for state in "AABAAB"] == [0, 0, 0, 1, 1, 1]
    assert states.returns(later, "A") == 0
