"""Verification of jobs without a history: only the latest state of each is known."""

from __future__ import annotations

from functools import partial

import pytest

from bridge.model.job_history import JobHistory
from bridge.model.message import Record
from bridge.model.transition import Transition, made_trans_id
from tests.support.comparison_scenario import altered, compared, happened, kinds, sent
from tests.support.factories import job


def stateful(number: int, second: float, state: str) -> Transition:
    """Return a transition of a job without history."""
    item = happened(number, second)
    trans_id = made_trans_id(item.job_id, item.time, state)
    return Transition(item.job_id, state, item.time, trans_id)


Job = partial(JobHistory, "")
RUNNING, COMPLETE = stateful(1, 10, "running"), stateful(1, 20, "complete")

by_state = partial(compared, by_state=True)


def test_earlier_states_are_not_strange() -> None:
    findings, missing = by_state([Job([COMPLETE])], sent(RUNNING, COMPLETE, COMPLETE))

    assert kinds(findings) == {"transitions": 1, "messages": 3, "repeated": 1}
    assert missing == [] and findings.clean


def test_a_later_update_time_is_no_transition() -> None:
    updated = stateful(1, 30, "complete")

    findings, _ = by_state([Job([updated])], sent(RUNNING, COMPLETE))

    assert kinds(findings) == {"transitions": 1, "messages": 2}


@pytest.mark.parametrize(
    "arrived", [[RUNNING], [COMPLETE, RUNNING]], ids=["never", "in an earlier round"]
)
def test_a_missing_latest_state_is_repaired(arrived: list[Transition]) -> None:
    latest = stateful(1, 40, "complete")

    findings, missing = by_state([Job([latest])], sent(*arrived))

    assert findings.counts["missing"] == 1
    assert missing == [latest]


def test_a_job_without_any_message_is_missing() -> None:
    findings, missing = by_state([Job([COMPLETE])], [])

    assert findings.counts["missing"] == 1
    assert missing == [COMPLETE]


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "error"},
        {"time": happened(1, 11).time},
        {"trans_id": "other"},
        {"key": b"other"},
        {"job_id": job(2)},
    ],
    ids=["state", "time", "trans_id", "key", "job"],
)
@pytest.mark.parametrize("original", [RUNNING, COMPLETE], ids=["earlier", "latest"])
def test_an_altered_message_without_history_is_wrong(
    changed: dict[str, object], original: Transition
) -> None:
    other = stateful(2, 15, "running")
    records = sent(RUNNING, COMPLETE, other)
    index = 0 if original is RUNNING else 1
    records[index] = altered(records[index], **changed)

    findings, missing = by_state([Job([COMPLETE]), Job([other])], records)

    assert findings.counts["wrong"] == 1 and findings.counts["strange"] == 0
    assert f"(0:{index}" in findings.examples["wrong"][0]
    assert missing == ([COMPLETE] if original is COMPLETE else [])


def test_messages_of_an_unknown_job_are_strange() -> None:
    foreign = Record(0, 7000, 0.0, None, b"{}", ())

    findings, _ = by_state([Job([COMPLETE])], [*sent(COMPLETE, stateful(3, 10, "new")), foreign])

    assert kinds(findings) == {"transitions": 1, "messages": 2, "strange": 1}


def test_a_job_last_updated_elsewhere_is_looked_up() -> None:
    earlier, later = stateful(3, 10, "running"), stateful(3, 2000, "complete")

    findings, _ = by_state(
        [Job([COMPLETE])], sent(COMPLETE, earlier), others=[JobHistory(job(3), [later])]
    )

    assert kinds(findings) == {"transitions": 1, "messages": 2}
