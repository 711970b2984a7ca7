"""A gap: which transitions belong to it, by their own times."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from bridge.model.gap import Gap, gap_between, gap_of_all_history, unix_time_of
from bridge.model.job_history import JobHistory
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import Poison, Transition
from tests.support.factories import settings, transition

BEGIN, END = 1_700_000_000, 1_700_001_000
MARGIN = 60.0
LOST, UNTIL = position_before(ClusterTime(BEGIN, 7)), position_before(ClusterTime(END))
GAP = gap_between(LOST, UNTIL, MARGIN, END)


def happened(seconds: float) -> Transition:
    return transition(time=datetime.fromtimestamp(seconds, timezone.utc))


def job_with(*items: Transition | Poison, created: float | None = None) -> JobHistory:
    return JobHistory("job-1", list(items), created=created)


def holds(seconds: float) -> bool:
    return bool(GAP.select(job_with(happened(seconds))))


def test_a_gap_begins_a_margin_before_the_position() -> None:
    assert not holds(BEGIN - MARGIN - 0.001)
    assert holds(BEGIN - MARGIN)


def test_a_gap_has_no_upper_bound() -> None:
    """A writer's clock that runs ahead must not lose a transition."""
    assert holds(END + 7200)


def test_everything_after_the_first_transition_belongs() -> None:
    """Otherwise the stream would deliver the rest later, out of order."""
    items = [happened(BEGIN - 100), happened(BEGIN + 5), happened(BEGIN - 90), happened(END + 100)]

    assert GAP.select(job_with(*items)) == items[1:]


@pytest.mark.parametrize(("created", "selected"), [(-60.001, 1), (-60, 3), (5, 3), (9999, 3)])
def test_a_job_created_in_the_gap_belongs_whole(created: float, selected: int) -> None:
    """An import has old times; its first transitions were written in the gap all the same."""
    poison = Poison("the time is missing")
    items: list[Transition | Poison] = [happened(BEGIN - 10**8), poison, happened(BEGIN - 10**7)]

    assert len(GAP.select(job_with(*items, created=BEGIN + created))) == selected


def test_a_late_writer_is_found_within_the_hour() -> None:
    gap = gap_between(LOST, UNTIL, settings().recovery_margin, END)
    items = [happened(BEGIN - 2 * 3600), happened(BEGIN - 50 * 60)]

    assert gap.select(job_with(*items)) == items[1:]


def test_all_history_has_no_beginning() -> None:
    gap = gap_of_all_history(UNTIL, MARGIN, END)

    assert gap.since is None
    assert (
        len(gap.select(job_with(transition(time=datetime(1980, 1, 1, tzinfo=timezone.utc))))) == 1
    )


def test_items_without_a_time_belong_to_a_gap() -> None:
    poison = Poison("the time is missing")

    assert GAP.select(job_with(poison, happened(BEGIN - 100))) == [poison]


def test_an_extended_gap_rereads_from_the_first_end() -> None:
    later = gap_between(UNTIL, position_before(ClusterTime(END + 500)), MARGIN, END + 500)
    latest = gap_between(UNTIL, position_before(ClusterTime(END + 900)), MARGIN, END + 900)
    extended_by = GAP.extended_by(later)

    assert extended_by == Gap(GAP.since, later.until, later.recent, reread_from=END - MARGIN)
    assert extended_by.extended_by(latest) == Gap(
        GAP.since, latest.until, latest.recent, reread_from=END - MARGIN
    )


def test_a_cluster_time_ahead_of_clocks_is_bounded() -> None:
    ahead, now = 3600, END - 3600
    gap = gap_between(LOST, UNTIL, MARGIN, now, delivered_by=BEGIN - ahead)

    assert gap.since == BEGIN - ahead - MARGIN
    assert gap.recent == now - MARGIN


def test_the_unix_time_is_that_of_the_text() -> None:
    assert unix_time_of(happened(BEGIN + 0.511)) == BEGIN + 0.511
