"""Late transitions: by the time of their first message, with those that have no message."""

from __future__ import annotations

from functools import partial

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


def test_transitions_without_a_message_are_late() -> None:
    assert late([]) == 2
    assert late(sent(A, written=BASE + 10.5), [letter(B)]) == 1
