"""The order of a job's transitions, and the identity of a transition that has none."""

from __future__ import annotations

import uuid
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.transition import BEFORE_FIRST, made_trans_id, next_sequence


@given(st.text(), st.text(), st.text(), st.none() | st.integers(0))
def test_a_made_identity_is_stable(job_id: str, time: str, state: str, number: int | None) -> None:
    made = made_trans_id(job_id, time, state, number)

    assert made == made_trans_id(job_id, time, state, number)
    assert uuid.UUID(made).version == 5


def test_a_made_identity_never_changes_between_versions() -> None:
    assert made_trans_id("job-1", "0", "created") == "55a3ad58-d1d8-5da6-9b5f-5a5b552cc2fd"


def test_made_identities_differ_in_every_part() -> None:
    made = {
        made_trans_id(job, time, state, number)
        for job in "ab"
        for time in ("1", "2")
        for state in "xy"
        for number in (None, 1, 2)
    }

    assert len(made) == 24


#: Milliseconds since 1970 from the first to the last time that Python knows.
MILLISECONDS = st.integers(-62_135_596_800_000, 253_402_300_799_999)


def sequences(times: list[int]) -> list[int]:
    numbers, previous = [], BEFORE_FIRST
    for time in times:
        previous = next_sequence(previous, time)
        numbers.append(previous)
    return numbers


@given(st.lists(MILLISECONDS, max_size=50))
def test_a_sequence_grows_whatever_clocks_show(times: list[int]) -> None:
    numbers = sequences(times)

    assert all(later > earlier for earlier, later in pairwise(numbers))
    assert all(number >= 0 for number in numbers)
    assert all(number >= max(0, time) * 1000 for number, time in zip(numbers, times, strict=True))


def test_a_sequence_follows_the_transitions_time() -> None:
    noon = 1_772_452_800_000

    assert sequences([noon, noon, noon - 5, noon + 1]) == [
        noon * 1000,
        noon * 1000 + 1,
        noon * 1000 + 2,
        (noon + 1) * 1000,
    ]
    assert sequences([0, -1]) == [0, 1]


def test_a_sequence_exceeds_indexes_of_earlier_versions() -> None:
    """Consumers that keep the highest number need no migration, and JavaScript reads it exactly."""
    largest_index = 16 * 1024 * 1024  # an element needs more than a byte of its document
    in_2010, in_2200 = 1_262_304_000_000, 7_258_118_400_000

    assert largest_index < next_sequence(BEFORE_FIRST, in_2010)
    assert next_sequence(BEFORE_FIRST, in_2200) < 2**53
