"""Positions: the order of tokens and the time inside them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.position import (
    ClusterTime,
    cluster_time_of,
    past_position,
    position_after,
    position_at,
    position_before,
)
from tests.support.factories import token

UINT32 = st.integers(0, 2**32 - 1)
TIMES = st.builds(ClusterTime, UINT32, UINT32)


def token_at(time: ClusterTime, rest: str = "") -> str:
    return f"82{time.seconds:08X}{time.increment:08X}{rest}"


@given(TIMES, st.text("0123456789ABCDEF", min_size=1, max_size=80))
def test_the_time_is_read_out_of_any_token(time: ClusterTime, rest: str) -> None:
    assert cluster_time_of(token_at(time, rest)) == time


@given(
    TIMES, TIMES, st.text("0123456789ABCDEF", min_size=1), st.text("0123456789ABCDEF", min_size=1)
)
def test_positions_sort_by_time_and_then_by_token(
    first: ClusterTime, second: ClusterTime, one: str, other: str
) -> None:
    left, right = position_after(token_at(first, one)), position_after(token_at(second, other))

    assert (
        (left < right)
        == ((first, left.token) < (second, right.token))
        == (left.token < right.token)
    )


@given(TIMES, st.text("0123456789ABCDEF", min_size=1))
def test_a_time_sorts_before_its_tokens(time: ClusterTime, rest: str) -> None:
    assert position_before(time) < position_after(token_at(time, rest))


@given(TIMES, st.text("0123456789ABCDEF", min_size=1))
def test_a_longer_token_sorts_after_its_prefix(time: ClusterTime, rest: str) -> None:
    assert position_after(token_at(time, "2B")) < position_after(token_at(time, "2B" + rest))


@given(st.text())
def test_other_text_is_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(cluster_time_of(text), ClusterTime)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "82",
        "8265",
        token(1)[:17],
        token(1)[:17] + "g",
        "81" + token(1)[2:],
        token(1) + "x",
        "82" + "é" * 16,
    ],
)
def test_text_without_cluster_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cluster_time_of(text)


def test_a_token_of_odd_length_is_accepted() -> None:
    assert cluster_time_of(token(5) + "0") == cluster_time_of(token(5))


def test_a_position_keeps_its_type_bits() -> None:
    assert position_after(token(1), "8040").type_bits == "8040"


def test_a_position_at_a_time_starts_its_second() -> None:
    moment = datetime(2026, 3, 2, 18, 4, 11, 918_000, tzinfo=timezone(timedelta(hours=2)))

    assert position_at(moment) == position_before(ClusterTime(1772467451, 0))
    assert position_at(moment).cluster_time.isoformat() == "2026-03-02T16:04:11+00:00"


def test_times_after_the_newest_write_share_its_position() -> None:
    """A time in the future has no position."""
    newest = datetime(2026, 3, 2, 16, 4, 11, tzinfo=timezone.utc)
    here, now = (
        position_before(ClusterTime(int(newest.timestamp()), 7)),
        newest + timedelta(seconds=9),
    )

    assert past_position(newest - timedelta(seconds=1), here, now) == position_at(
        newest - timedelta(seconds=1)
    )
    assert past_position(newest + timedelta(seconds=5), here, now) == here
    assert past_position(now, here, now) == here
    assert past_position(now + timedelta(milliseconds=1), here, now) is None
    assert past_position(newest, here, newest - timedelta(hours=1)) == position_at(
        newest
    )  # our clock is behind


def test_a_printed_position_shortens_its_token() -> None:
    assert str(position_before(ClusterTime(0))) == "1970-01-01T00:00:00+00:00 (no token)"
    assert token(1)[:24] + "..." in str(position_after(token(1)))
    assert token(1) not in str(position_after(token(1)))
    assert f"(token {token(1)})" in position_after(token(1)).text
