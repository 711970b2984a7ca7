"""Verification: missing, duplicate, out-of-order and unexpected, without false findings."""

from __future__ import annotations

import json
import random
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.job_history import JobHistory
from bridge.model.message import Record
from bridge.model.transition import REPLAY, Poison
from bridge.verification.comparison import Verification, repairs
from bridge.verification.database import TransitionDatabase
from tests.support.comparison_scenario import (
    MARGIN,
    SPAN,
    FakeJobs,
    FakeTopics,
    compared,
    happened,
    kinds,
    letter,
    sent,
)
from tests.support.factories import BASE, job

#: The history of a job that contains these transitions.
Job = partial(JobHistory, "")


A, B, C = (happened(1, 10 + n, n) for n in range(3))
D = happened(2, 20)


def test_a_complete_topic_has_no_findings() -> None:
    findings, missing = compared([Job([A, B, C]), Job([D])], sent(A, D, B, C))

    assert kinds(findings) == {"transitions": 4, "messages": 4}
    assert findings.complete and missing == []


def test_missing_transitions_are_repaired_in_order() -> None:
    findings, missing = compared([Job([A, B, C]), Job([D])], sent(B))

    assert kinds(findings) == {"transitions": 4, "messages": 1, "missing": 3}
    assert not findings.complete
    assert missing == [A, C, D]
    assert findings.examples["missing"][0] == f"{A.job_id} {A.state} {A.time} {A.trans_id}"


def test_a_repair_has_the_origin_replay() -> None:
    with TransitionDatabase() as database:
        Verification(database, SPAN, margin=MARGIN, by_state=False).run(
            FakeJobs([Job([A])]), FakeTopics(jobs=[]), "jobs", "jobs-dlq"
        )
        assert [event.origin for event in repairs(database)] == [REPLAY]


def test_messages_after_the_first_are_duplicates() -> None:
    findings, _ = compared([Job([A, B])], sent(A, B, A, A, B))

    assert kinds(findings) == {"transitions": 2, "messages": 5, "repeated": 3}
    assert len(findings.examples["repeated"]) == 2


def test_a_late_first_arrival_is_out_of_order() -> None:
    findings, _ = compared([Job([A, B, C]), Job([D])], sent(A, C, D, B))

    assert kinds(findings) == {"transitions": 4, "messages": 4, "out_of_order": 1}
    (example,) = findings.examples["out_of_order"]
    # Named is the one that came too late, by what its job tells.
    assert example.startswith(f"{B.job_id} {B.state}")


def test_an_earlier_duplicate_is_in_order() -> None:
    findings, _ = compared([Job([A, B, C])], sent(A, B, C, A, B))

    assert kinds(findings) == {"transitions": 3, "messages": 5, "repeated": 2}


def test_partitions_are_not_compared_with_each_other() -> None:
    records = sent(A, partition=0, begin=900) + sent(D, partition=1, begin=5)
    findings, _ = compared([Job([A]), Job([D])], records)

    assert findings.counts["out_of_order"] == 0


@pytest.mark.parametrize("again", [-50.0, 50.0], ids=["read first", "read last"])
def test_a_duplicate_in_another_partition_is_in_order(again: float) -> None:
    first = sent(A, B, C, partition=0, begin=900)
    repeat = sent(C, B, A, partition=1, begin=5, written=BASE + 150)
    findings, _ = compared([Job([A, B, C])], [*repeat, *first] if again < 0 else [*first, *repeat])

    assert kinds(findings) == {"transitions": 3, "messages": 6, "repeated": 3}


def test_first_arrivals_are_compared_within_their_partition() -> None:
    findings, _ = compared(
        [Job([A, B, C])],
        [*sent(B, A, C, partition=0, begin=900), *sent(A, partition=1, written=BASE + 50)],
    )

    assert kinds(findings) == {"transitions": 3, "messages": 4, "repeated": 1}


def test_offsets_order_a_partition_not_timestamps() -> None:
    fast, slow = sent(A, B, begin=0), sent(A, begin=9, written=BASE + 1)
    findings, _ = compared([Job([A, B])], [*fast, *slow])
    assert findings.counts["out_of_order"] == 0

    findings, _ = compared([Job([A, B])], [*sent(B, begin=0), *sent(A, begin=9, written=BASE + 1)])
    assert findings.counts["out_of_order"] == 1


def unreadable(value: bytes | None, *, offset: int = 0, written: float = BASE + 300) -> Record:
    return Record(0, 7000 + offset, written, None, value, ())


#: Deeper than Python reads JSON, and than it writes a list.
DEEP = b"[" * 200_000
NESTED = (
    b'{"job_id": ' + b"[" * 5000 + b"]" * 5000 + b', "state": "s", "time": "t", "trans_id": "i"}'
)


def test_a_message_no_job_explains_is_strange() -> None:
    odd = [
        unreadable(value, offset=n) for n, value in enumerate((b"hello", None, DEEP, NESTED, b"7"))
    ]
    findings, _ = compared([Job([A])], [*sent(A, B), *odd])

    assert kinds(findings) == {"transitions": 1, "messages": 7, "strange": 6}


def test_an_unreadable_message_has_its_written_time() -> None:
    findings, _ = compared(
        [Job([A])],
        [
            *sent(A),
            unreadable(b"hello", written=BASE - 1),
            unreadable(b"hello", written=BASE + 1001),
        ],
    )

    assert kinds(findings) == {"transitions": 1, "messages": 1}


def test_transitions_outside_the_span_are_ignored() -> None:
    early, late = happened(1, -5, 3), happened(1, 1005, 4)
    findings, missing = compared(
        [Job([early, A, late])], sent(happened(3, -5), A, happened(3, 1005))
    )

    assert kinds(findings) == {"transitions": 1, "messages": 1}
    assert missing == []


def test_a_dead_letter_is_not_missing() -> None:
    findings, missing = compared([Job([A, B])], sent(B), [letter(A), letter(A, offset=1)])

    assert kinds(findings) == {"transitions": 2, "messages": 1, "set_aside": 1}
    assert findings.examples["set_aside"] == [f"{A.job_id} {A.state} {A.time} {A.trans_id}"]
    assert missing == []


def test_every_dead_letter_of_the_span_counts() -> None:
    timeless = Poison("the time is missing", job(3), "created", "", "3/0", 0)
    unknown = Poison(
        "the job was deleted before its id could be looked up", "", "created", A.time, "4/0", 0
    )
    strangers = [unreadable(value, offset=n) for n, value in enumerate((b"?", DEEP))]
    findings, _ = compared(
        [Job([A])], sent(A), [letter(timeless), letter(unknown, offset=1), *strangers]
    )

    assert kinds(findings) == {"transitions": 1, "messages": 1, "set_aside": 4}
    assert f"{job(3)} created  3/0" in findings.examples["set_aside"]


def test_offsets_of_the_two_topics_are_kept_apart() -> None:
    findings, _ = compared([Job([A])], [*sent(A), unreadable(b"?")], [unreadable(b"?")])

    assert kinds(findings) == {"transitions": 1, "messages": 2, "strange": 1, "set_aside": 1}


def test_old_or_resent_dead_letters_do_not_count() -> None:
    timeless = Poison("the time is missing", job(3), "created", "", "3/0", 0)
    others = [
        letter(happened(2, -5)),
        letter(happened(2, 1005)),
        letter(timeless, written=BASE - 5),
        unreadable(b"?", written=BASE - 5),
    ]
    findings, _ = compared([Job([A])], sent(A), [letter(A), *others])

    assert kinds(findings) == {"transitions": 1, "messages": 1}


@pytest.mark.parametrize("trans_id", ["1/7", ""])
def test_an_unsendable_transition_needs_a_dead_letter(trans_id: str) -> None:
    poison = Poison("the state is int, not text", A.job_id, "7", B.time, trans_id, 1)

    findings, missing = compared([Job([A, poison, C])], sent(A, C))
    assert kinds(findings) == {"transitions": 3, "messages": 2, "missing": 1}
    assert missing == [poison]

    findings, missing = compared([Job([A, poison, C])], sent(A, C), [letter(poison)])
    assert kinds(findings) == {"transitions": 3, "messages": 2, "set_aside": 1}
    assert missing == []


def test_a_job_that_is_read_twice_counts_once() -> None:
    findings, _ = compared([Job([A]), Job([A, B])], sent(A, B))

    assert kinds(findings) == {"transitions": 2, "messages": 2}


@pytest.mark.parametrize(
    "poison",
    [
        Poison("the time is missing", A.job_id, "created", "", "1/7"),
        Poison("the state is missing", A.job_id, "", A.time),
        Poison("the job id is missing", "", "created", A.time, "1/7"),
        Poison("the state is int, not text", A.job_id, "7", "2001-01-01T00:00:00+00:00", "1/7"),
    ],
    ids=["no time", "nothing to know it by", "no job", "another time"],
)
def test_unidentifiable_items_are_not_expected(poison: Poison) -> None:
    findings, _ = compared([Job([A, poison])], sent(A))

    assert kinds(findings) == {"transitions": 1, "messages": 1}


def test_half_a_character_is_no_reason_to_fail() -> None:
    half = Record(
        0,
        0,
        0.0,
        b"",
        json.dumps({"job_id": "\ud800", "state": "s", "time": A.time, "trans_id": "t"}).encode(),
        (),
    )
    findings, _ = compared([Job([A])], [half, *sent(A, begin=1)])

    assert kinds(findings) == {"transitions": 1, "messages": 2, "strange": 1}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.randoms(use_true_random=False), st.data())
def test_any_loss_and_any_repeat_is_counted(
    jobs: int, transitions: int, shuffle: random.Random, data: st.DataObject
) -> None:
    histories = [
        [happened(number, 10 + n, n) for n in range(transitions)] for number in range(jobs)
    ]
    everything = [transition for history in histories for transition in history]
    lost = data.draw(st.sets(st.sampled_from(everything)))
    repeats = data.draw(
        st.lists(st.sampled_from(everything), max_size=5).map(
            lambda drawn: [transition for transition in drawn if transition not in lost]
        )
    )
    arrived = [transition for transition in everything if transition not in lost]

    findings, missing = compared([Job(history) for history in histories], sent(*arrived, *repeats))

    assert set(missing) == lost and len(missing) == len(lost)
    assert findings.counts["repeated"] == len(repeats)
    assert findings.counts["out_of_order"] == findings.counts["strange"] == 0


@pytest.mark.parametrize("count", [3000])
def test_more_than_fits_a_chunk_is_compared_whole(count: int) -> None:
    transitions = [happened(number, 10) for number in range(count)]
    findings, missing = compared(
        [Job([transition]) for transition in transitions], sent(*transitions[:-1])
    )

    assert findings.counts["transitions"] == count
    assert missing == [transitions[-1]]
