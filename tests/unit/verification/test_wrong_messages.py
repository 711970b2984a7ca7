"""Verification cannot be fooled: every altered message is found and named."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.job_history import JobHistory
from bridge.model.message import Record
from bridge.model.transition import Poison, Transition, made_trans_id
from bridge.verification.comparison import MAX_EXAMPLES, Findings
from tests.support.comparison_scenario import altered, compared, happened, kinds, letter, sent
from tests.support.factories import job

Job = partial(JobHistory, "")
A, B, C = (happened(1, 10 + n, n) for n in range(3))
D = happened(2, 20)

ALTERATIONS: dict[str, dict[str, object]] = {
    "state": {"state": "s2"},
    "state of another type": {"state": 1},
    "no state": {"state": None},
    "time": {"time": A.time},
    "time outside the span": {"time": "2001-01-01T00:00:00+00:00"},
    "no usable time": {"time": "yesterday"},
    "another job": {"job_id": D.job_id, "key": D.job_id.encode()},
    "an unknown job": {"job_id": job(9), "key": job(9).encode()},
    "key of another job": {"key": D.job_id.encode()},
    "job id only": {"job_id": D.job_id},
    "identity of another transition": {"trans_id": D.trans_id},
}
CHANGES: dict[str, dict[str, object]] = {**ALTERATIONS, "unknown identity": {"trans_id": "unknown"}}


@pytest.mark.parametrize("changed", ALTERATIONS.values(), ids=ALTERATIONS.keys())
def test_an_altered_message_is_wrong_and_missing(changed: dict[str, object]) -> None:
    records = sent(A, B, C, D)
    records[1] = altered(records[1], **changed)

    findings, missing = compared([Job([A, B, C]), Job([D])], records)

    assert kinds(findings) == {"transitions": 4, "messages": 4, "missing": 1, "wrong": 1}
    assert missing == [B]
    assert not findings.clean
    assert "(0:1" in findings.examples["wrong"][0]


@pytest.mark.parametrize("changed", ALTERATIONS.values(), ids=ALTERATIONS.keys())
def test_a_right_message_beside_it_suffices(changed: dict[str, object]) -> None:
    records = sent(A, B, C, D, B)
    records[1] = altered(records[1], **changed)

    findings, missing = compared([Job([A, B, C]), Job([D])], records)

    assert findings.counts["wrong"] == 1 and missing == []
    assert not findings.clean and findings.complete
    assert findings.counts["repeated"] == findings.counts["strange"] == 0


def test_a_wrong_example_names_the_transition() -> None:
    findings, _ = compared([Job([A])], [altered(*sent(A), state="complete", key=b"k")])

    assert findings.examples["wrong"] == [
        f"{A.job_id} complete {A.time} {A.trans_id} (0:0, key 'k') "
        f"instead of {A.job_id} {A.state} {A.time}"
    ]


def test_an_unknown_identity_is_strange_and_missing() -> None:
    findings, missing = compared([Job([A])], [altered(*sent(A), trans_id="other")])

    assert kinds(findings) == {"transitions": 1, "messages": 1, "missing": 1, "strange": 1}
    assert missing == [A]


def test_a_time_moved_into_the_span_is_wrong() -> None:
    early = happened(1, -5)

    findings, _ = compared([Job([early, A])], [*sent(A), altered(*sent(early), time=B.time)])

    assert kinds(findings) == {"transitions": 1, "messages": 2, "wrong": 1}


def test_a_dead_letter_beside_a_wrong_message() -> None:
    findings, missing = compared([Job([A])], [altered(*sent(A), state="x")], [letter(A)])

    assert kinds(findings) == {"transitions": 1, "messages": 1, "wrong": 1, "set_aside": 1}
    assert missing == []


def test_an_identity_added_later_is_accepted() -> None:
    """A message was sent under a made identity before the service added one."""
    made = A._replace(trans_id=made_trans_id(A.job_id, A.time, A.state, A.sequence))

    findings, missing = compared([Job([A, B])], sent(made, B))
    assert kinds(findings) == {"transitions": 2, "messages": 2}
    assert missing == []

    findings, _ = compared([Job([A, B])], sent(made, B, A))
    assert kinds(findings) == {"transitions": 2, "messages": 3, "repeated": 1}

    findings, missing = compared([Job([A, B])], [*sent(B), altered(*sent(made), state="x")])
    assert findings.counts["wrong"] == 1
    assert missing == [A]


def test_a_dead_letter_may_have_the_made_identity() -> None:
    made = A._replace(trans_id=made_trans_id(A.job_id, A.time, A.state, A.sequence))

    findings, missing = compared([Job([A])], [], [letter(made)])
    assert kinds(findings) == {"transitions": 1, "set_aside": 1}
    assert missing == []

    findings, _ = compared([Job([A])], sent(A), [letter(made)])
    assert kinds(findings) == {"transitions": 1, "messages": 1}


def test_transitions_that_share_an_identity_are_distinguished() -> None:
    twin = B._replace(trans_id=A.trans_id)

    findings, missing = compared([Job([A, twin])], sent(A, A))

    assert kinds(findings) == {"transitions": 2, "messages": 2, "missing": 1, "repeated": 1}
    assert missing == [twin]


def test_two_documents_of_one_job_id_are_named() -> None:
    jobs = [
        JobHistory(A.job_id, [item], document=name)
        for name, item in (("first", A), ("second", B), ("first", A))
    ]

    findings, _ = compared([*jobs, JobHistory(D.job_id, [D], document="third")], sent(B, A, D))

    assert kinds(findings) == {"transitions": 3, "messages": 3, "shared_ids": 1}
    assert findings.examples["shared_ids"] == [f"{A.job_id} 2 documents: first, second"]
    assert findings.clean


def test_job_ids_that_are_invalid_are_not_shared() -> None:
    """Both jobs have an integer as their id, so their transitions are dead letters."""
    poisons = [Poison("the job id is int, not text", "", A.state, A.time, t) for t in ("1", "2")]
    jobs = [JobHistory("", [poison], document=poison.trans_id) for poison in poisons]

    findings, missing = compared(jobs, [], [letter(poison) for poison in poisons])

    assert kinds(findings) == {"set_aside": 2}
    assert missing == []


def test_a_document_name_may_be_no_unicode() -> None:
    findings, _ = compared([JobHistory(A.job_id, [A], document="\udcff")], sent(A))

    assert kinds(findings) == {"transitions": 1, "messages": 1}


def test_a_job_written_later_is_looked_up() -> None:
    late = JobHistory(job(1), [A, B, C])

    findings, missing = compared([Job([A])], sent(A, B), others=[late])

    assert kinds(findings) == {"transitions": 2, "messages": 2}
    assert missing == []


def test_all_examples_up_to_a_limit_are_named() -> None:
    lost = [happened(number, 10) for number in range(MAX_EXAMPLES + 5)]

    findings, _ = compared([Job([item]) for item in lost], [])

    assert findings.counts["missing"] == len(lost)
    assert len(findings.examples["missing"]) == MAX_EXAMPLES


def _named(findings: Findings, record: Record) -> bool:
    """Whether a record is among the examples of wrong and strange messages."""
    position = f"({record.partition}:{record.offset}"
    examples = [*findings.examples["wrong"], *findings.examples["strange"]]
    return any(position in example for example in examples)


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 4), st.integers(1, 5), st.data())
def test_any_set_of_alterations_is_found(jobs: int, transitions: int, data: st.DataObject) -> None:
    histories = [
        [happened(number, 10 + n, n) for n in range(transitions)] for number in range(jobs)
    ]
    everything = [transition for history in histories for transition in history]
    kept, faulty = list[Record](), list[Record]()
    lost = list[Transition]()
    for record, transition in zip(sent(*everything), everything, strict=True):
        change = data.draw(st.sampled_from(["none", "removed", *CHANGES]))
        changed = altered(record, **CHANGES.get(change, {}))
        if change != "removed" and changed == record:  # Some alterations change nothing.
            kept.append(record)
            continue
        lost.append(transition)
        faulty += [changed] if change != "removed" else []
    records = data.draw(st.permutations([*kept, *faulty]))
    documents = [Job(history) for history in histories]

    findings, missing = compared(documents, records)
    assert missing == lost
    assert all(_named(findings, record) for record in faulty)
    assert findings.counts["wrong"] + findings.counts["strange"] == len(faulty)
    assert findings.counts["messages"] == len(kept) + len(faulty)

    repaired, missing = compared(documents, [*records, *sent(*lost, begin=500)])
    assert missing == [] and repaired.counts["repeated"] == 0
    assert repaired.counts["wrong"] + repaired.counts["strange"] == len(faulty)
