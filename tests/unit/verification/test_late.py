"""Late transitions: by their commit and their first message, with those that have no message."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pytest

from bridge.model import objective
from bridge.model.job_history import JobHistory
from bridge.model.message import Record
from bridge.verification.comparison import Verification
from bridge.verification.database import TransitionDatabase
from tests.support.comparison_scenario import (
    MARGIN,
    SPAN,
    FakeJobs,
    FakeTopics,
    happened,
    letter,
    sent,
)
from tests.support.factories import BASE

PAGE = Path(__file__).parents[3] / "docs" / "operations" / "verification.md"
Job = partial(JobHistory, "")

A, B = happened(1, 10, 0), happened(1, 20, 1)


def late(records: list[Record], letters: list[Record] | None = None) -> int:
    """The late transitions of a job with both."""
    topics = FakeTopics(jobs=records, **{"jobs-dlq": letters or []})
    with TransitionDatabase() as database:
        Verification(database, SPAN, margin=MARGIN, by_state=False).run(
            FakeJobs([Job([A, B])]), topics, "jobs", "jobs-dlq"
        )
        return database.late(objective.SECONDS)


def test_messages_within_a_second_are_in_time() -> None:
    records = [*sent(A, written=BASE + 11), *sent(B, begin=1, written=BASE + 20.1)]

    assert late(records) == 0


def test_later_messages_are_late() -> None:
    records = [*sent(A, written=BASE + 11.01), *sent(B, begin=1, written=BASE + 20.1)]

    assert late(records) == 1


def test_the_first_message_counts() -> None:
    again = sent(A, begin=2, written=BASE + 50)
    records = [*sent(A, written=BASE + 10.5), *sent(B, begin=1, written=BASE + 20.5), *again]

    assert late(records) == 0


def committed(record: Record, seconds: float, text: bytes | None = None) -> Record:
    """``record`` with a commit time, or with ``text`` in its place."""
    time = datetime.fromtimestamp(BASE + seconds, timezone.utc).isoformat().encode()
    return record._replace(headers=[*record.headers, ("ce_committed", text or time)])


def test_the_commit_counts_not_the_jobs_time() -> None:
    """The job service waited half a minute between both, for A."""
    [slow], [quick] = sent(A, written=BASE + 41), sent(B, begin=1, written=BASE + 20.5)

    assert late([committed(slow, 40), committed(quick, 19.4)]) == 1
    assert late([committed(slow, 40), committed(quick, 19.6)]) == 0


def test_a_message_without_a_commit_counts() -> None:
    """As of a recovery; the bridge leaves it out, so the page says that the counts differ."""
    [recovered], [quick] = sent(A, written=BASE + 41), sent(B, begin=1, written=BASE + 20.5)
    text = " ".join(PAGE.read_text().split())

    assert late([recovered, committed(quick, 20)]) == 1
    assert "of a recovery or a sweep do not count in the [bridge's metric]" in text


def test_the_commit_is_that_of_the_first_message() -> None:
    [first], [again] = sent(A, written=BASE + 10.5), sent(A, begin=1, written=BASE + 50)
    [other] = sent(B, begin=2, written=BASE + 20.5)

    assert late([committed(first, 9), committed(again, 50), other]) == 1
    assert late([committed(first, 10), committed(again, 1), other]) == 0


@pytest.mark.parametrize("text", [b"soon", b"\xff", b"2026-13-01"])
def test_an_unreadable_commit_time_does_not_count(text: bytes) -> None:
    records = [*sent(A, written=BASE + 10.5), *sent(B, begin=1, written=BASE + 20.5)]

    assert late([committed(record, 0, text) for record in records]) == 0


def test_transitions_without_a_message_are_late() -> None:
    assert late([]) == 2
    assert late(sent(A, written=BASE + 10.5), [letter(B)]) == 1
