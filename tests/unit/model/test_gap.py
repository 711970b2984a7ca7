"""A gap: which transitions belong to it, by their own times."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from bridge.model.gap import Gap, all_before, gap_after, moment_of
from bridge.model.position import ClusterTime, position_from
from bridge.model.transition import Poison
from tests.factories import transition

BEGIN, END = 1_700_000_000, 1_700_001_000
MARGIN = 60.0
GAP = gap_after(position_from(ClusterTime(BEGIN, 7)), position_from(ClusterTime(END)), MARGIN)


def happened(seconds: float) -> bool:
    return GAP.holds(transition(time=datetime.fromtimestamp(seconds, timezone.utc)))


def test_a_gap_reaches_a_margin_further_on_both_sides() -> None:
    assert not happened(BEGIN - MARGIN - 0.001)
    assert happened(BEGIN - MARGIN)
    assert happened(END + MARGIN)
    # The second of the end itself is within.
    assert happened(END + MARGIN + 0.999)
    assert not happened(END + MARGIN + 1)


def test_all_history_has_an_end_and_no_beginning() -> None:
    gap = all_before(position_from(ClusterTime(END)), MARGIN)

    assert gap.since is None
    assert gap.holds(transition(time=datetime(1980, 1, 1, tzinfo=timezone.utc)))
    assert not gap.holds(transition(time=datetime.fromtimestamp(END, timezone.utc) + timedelta(hours=1)))


def test_what_has_no_time_belongs_to_it() -> None:
    assert GAP.holds(Poison("the time is missing"))


def test_a_gap_and_the_next_are_one_gap() -> None:
    later = gap_after(GAP.until, position_from(ClusterTime(END + 500)), MARGIN)

    assert GAP.longer(later) == Gap(GAP.since, later.before, later.until, back=MARGIN + 1)


def test_a_moment_is_that_of_the_text() -> None:
    assert moment_of(transition(time=datetime.fromtimestamp(BEGIN + 0.511, timezone.utc))) == BEGIN + 0.511
