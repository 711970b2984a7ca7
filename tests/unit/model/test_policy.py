"""When to store, how long to wait, when dead letters are too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.policy import Backoff, CheckpointPolicy, DeadLetterBrake


@pytest.mark.parametrize(
    ("elapsed", "settled", "due"),
    [
        (0.9, True, False),
        (1.0, True, True),
        (1.0, False, False),
        (9.9, False, False),
        (10.0, False, True),
    ],
)
def test_a_position_that_only_idled_may_wait_longer(
    elapsed: float, settled: bool, due: bool
) -> None:
    assert CheckpointPolicy(interval=1.0, idle=10.0).due(elapsed, settled=settled) is due


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 1.0, chance=lambda: 0.0)

    assert [backoff.wait(tries) for tries in range(1, 7)] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.0,
        1.0,
    ]


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_no_number_of_tries_is_too_many(tries: int, chance: float) -> None:
    assert 0.05 <= Backoff(chance=lambda: chance).wait(tries) <= 30.0


def test_chance_halves_a_wait_at_most() -> None:
    """Bridges that failed at the same moment do not all return at the same moment."""
    drawn = iter((0.0, 0.5, 1.0))
    backoff = Backoff(1.0, chance=lambda: next(drawn))

    assert [backoff.wait(1) for _ in range(3)] == [1.0, 0.75, 0.5]
    assert len({Backoff().wait(5) for _ in range(10)}) > 1


def test_the_brake_allows_its_limit_per_hour() -> None:
    brake = DeadLetterBrake(2)

    assert [_counted(brake, now) for now in (0.0, 1.0, 2.0)] == [False, False, True]


def test_the_brake_forgets_after_an_hour() -> None:
    brake = DeadLetterBrake(1)

    assert [_counted(brake, now) for now in (0.0, 3600.0, 7199.0, 7200.0)] == [
        False,
        False,
        True,
        False,
    ]


def test_an_event_larger_than_the_brake_passes() -> None:
    brake = DeadLetterBrake(100)

    assert not brake.engaged(0.0)
    brake.count(150, 0.0)
    assert brake.engaged(3599.0)
    assert not brake.engaged(3600.0)


def test_a_limit_of_zero_allows_no_dead_letter() -> None:
    assert DeadLetterBrake(0).engaged(0.0)


def _counted(brake: DeadLetterBrake, now: float) -> bool:
    """Count an event with one dead letter unless the brake is engaged; return whether it is."""
    engaged = brake.engaged(now)
    if not engaged:
        brake.count(1, now)
    return engaged
