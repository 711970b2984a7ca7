"""How far a bridge has sent: an event at or before the highest position is a repeat."""

from __future__ import annotations

import pytest

from bridge.model.position import ClusterTime, Position, position_before
from bridge.model.sent import SentPositions
from bridge.model.transition import NOTIFY, RECOVERY, REPLAY, RETRY, STREAM, SWEEP
from tests.support.factories import at


@pytest.fixture
def sent() -> SentPositions:
    positions = SentPositions()
    positions.highest = at(5)
    return positions


def test_nothing_is_a_repeat_at_first() -> None:
    positions = SentPositions()

    assert not positions.is_repeat(position_before(ClusterTime(0)))
    assert not positions.is_repeat(at(1), RECOVERY)


@pytest.mark.parametrize(("number", "repeat"), [(4, True), (5, True), (6, False)])
def test_stream_events_repeat_up_to_the_highest(
    sent: SentPositions, number: int, repeat: bool
) -> None:
    assert sent.is_repeat(at(number)) is repeat
    assert sent.is_repeat(at(number), STREAM) is repeat


@pytest.mark.parametrize(("number", "repeat"), [(4, True), (5, False), (6, False)])
def test_jobs_of_a_recovery_may_share_a_position(
    sent: SentPositions, number: int, repeat: bool
) -> None:
    assert sent.is_repeat(at(number), RECOVERY) is repeat


def test_recovery_cursors_are_compared_within_a_position() -> None:
    positions, cursor = SentPositions(), Position(at(5).key, recovery_cursor="b")
    positions.highest = cursor

    assert positions.is_repeat(cursor._replace(recovery_cursor="a"), RECOVERY)
    assert not positions.is_repeat(cursor, RECOVERY)
    assert not positions.is_repeat(cursor._replace(recovery_cursor="c"), RECOVERY)


@pytest.mark.parametrize("origin", [SWEEP, REPLAY, NOTIFY, RETRY])
def test_other_origins_never_repeat(sent: SentPositions, origin: bytes) -> None:
    assert not sent.is_repeat(at(1), origin)
