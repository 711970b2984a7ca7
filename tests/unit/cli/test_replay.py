"""The order of the jobs of a replay, and the jobs that remain after a stop."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from bridge.cli.replay import _by_ids
from bridge.cli.replay_report import Selected
from bridge.cli.selection import Selection, updated_from
from bridge.model.transition import Poison
from bridge.mongo.job_documents import DATE, NUMBER, recovery_cursor_of


class Job(NamedTuple):
    job_id: str


class JobsByIds:
    """Jobs as MongoDB gives them: in its own order, by ids in any case."""

    def __init__(self, *job_ids: str) -> None:
        self._job_ids = job_ids

    def by_ids(self, job_ids: Sequence[str]) -> Iterator[Job]:
        wanted = {job_id.lower() for job_id in job_ids}
        return (Job(job_id) for job_id in self._job_ids if job_id in wanted)


def test_a_cursor_covers_exactly_the_jobs_before_it() -> None:
    known = [f"job-{n}" for n in range(1200)]
    asked = [*known, *(f"nobody-{n}" for n in range(300))]
    random.Random(7).shuffle(asked)
    taken: set[str] = set()

    found = Selected()
    for cursor, jobs in _by_ids(JobsByIds(*known), asked, found):
        taken |= {job.job_id for job in jobs}
        assert taken == set(asked[: int(cursor, 16)]) & set(known)
    assert taken == set(known)
    assert found.unknown_ids == [job_id for job_id in asked if job_id not in known]


def test_ids_with_another_spelling_come_first() -> None:
    found = Selected()
    steps = list(_by_ids(JobsByIds("abc", "def"), ["def", "ABC", "nobody"], found))

    assert [(int(cursor, 16), [job.job_id for job in jobs]) for cursor, jobs in steps] == [
        (0, ["abc"]),
        (1, ["def"]),
        (2, []),
        (3, []),
    ]
    assert found.unknown_ids == ["nobody"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (recovery_cursor_of(DATE, 1_772_474_400.5), "2026-03-02T18:00:00.500000+00:00"),
        (recovery_cursor_of(NUMBER, 1_772_474_400.5), recovery_cursor_of(NUMBER, 1_772_474_400.5)),
        ("", ""),
        (recovery_cursor_of(NUMBER, -5.0), ""),
        (recovery_cursor_of(DATE, 0.0), ""),
        ("something else", ""),
    ],
    ids=["date", "number", "no time", "before 1970", "1970", "unknown"],
)
def test_only_certainly_finished_jobs_are_left_out(text: str, words: str) -> None:
    assert updated_from(text) == words


@pytest.mark.parametrize(
    ("state", "time", "selected"),
    [
        ("created", "2026-03-02T18:00:00+00:00", True),
        ("created", "2026-03-02T17:00:00+00:00", False),
        ("created", "yesterday", True),
        ("created", "", True),
        ("7", "", False),
    ],
)
def test_an_unreadable_time_belongs_to_each_span(state: str, time: str, selected: bool) -> None:
    selection = Selection((), 1_772_474_400.0, None, ("created",), None)

    assert selection.contains(Poison("it cannot be sent", "job-1", state, time)) is selected
