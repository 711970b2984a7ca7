"""A compacted topic: only the latest message of each job is compared, with its latest state."""

from __future__ import annotations

from functools import partial

import pytest

from bridge.model.job_history import JobHistory
from bridge.model.transition import Poison
from tests.support.comparison_scenario import compared, happened, kinds, letter, sent

Job = partial(JobHistory, "")
A, B, C = (happened(1, 10 + n, n) for n in range(3))
D = happened(2, 20)

compacted = partial(compared, compacted=True)


def test_removed_messages_are_not_missing() -> None:
    findings, missing = compacted([Job([A, B, C]), Job([D])], sent(C, D))

    assert kinds(findings) == {"transitions": 2, "messages": 2}
    assert findings.clean and missing == [] and findings.compacted


def test_a_missing_latest_state_is_missing() -> None:
    findings, missing = compacted([Job([A, B, C]), Job([D])], sent(A, B, D))

    assert findings.counts["missing"] == 1
    assert missing == [C]


def test_an_old_state_after_the_latest_is_missing() -> None:
    """Compaction keeps the old state: a consumer that starts later never sees the latest."""
    findings, missing = compacted([Job([A, B, C])], sent(A, B, C, A))

    assert findings.counts["missing"] == 1
    assert missing == [C]


def test_messages_before_the_latest_are_not_compared() -> None:
    """They may be removed at any time."""
    findings, _ = compacted([Job([A, B, C])], sent(B, A, A, C))

    assert kinds(findings) == {"transitions": 1, "messages": 1}


def test_a_latest_state_outside_the_span_is_ignored() -> None:
    late = happened(1, 1005, 3)

    findings, missing = compacted([Job([A, B, late])], sent(A))

    assert missing == [] and findings.clean


def test_a_latest_state_that_followed_is_looked_up() -> None:
    """The job was written again after it was read."""
    findings, missing = compacted([Job([A, B])], sent(C), others=[JobHistory(C.job_id, [A, B, C])])

    assert missing == [] and findings.clean


def test_a_dead_lettered_latest_state_is_not_missing() -> None:
    poison = Poison("the state is int, not text", A.job_id, "7", C.time, "1/7", 2)

    findings, missing = compacted([Job([A, B, poison])], sent(B), [letter(poison)])

    assert missing == [] and findings.counts["set_aside"] == 1


def test_tombstones_are_unexpected() -> None:
    tombstone = sent(C, begin=9)[0]._replace(value=None)

    findings, _ = compacted([Job([A, B, C])], [*sent(A, B, C), tombstone])

    assert findings.counts["strange"] == 1 and not findings.clean


@pytest.mark.parametrize("latest", ["first", "second"])
def test_shared_job_ids_are_not_compared(latest: str) -> None:
    other = happened(1, 15, 0)._replace(trans_id="other")

    findings, missing = compacted(
        [
            JobHistory(A.job_id, [A, B], document="first"),
            JobHistory(A.job_id, [other], document="second"),
        ],
        sent(B if latest == "first" else other),
    )

    assert missing == [] and findings.counts["shared_ids"] == 1


@pytest.mark.parametrize("moved", [0, 1])
def test_partitions_that_were_added_keep_older_messages(moved: int) -> None:
    old, new = sent(A, partition=moved, begin=900), sent(C, partition=1 - moved, begin=5)

    findings, missing = compacted([Job([A, B, C])], [*old, *new])

    assert missing == [] and findings.clean


def test_the_latest_state_without_history_is_compared() -> None:
    state = happened(1, 10)._replace(sequence=None)

    findings, missing = compacted([Job([state])], [], by_state=True)

    assert missing == [state]
    assert findings.counts["missing"] == 1
