"""A dead letter is about one transition of its job, or about none."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bridge.model.dead_letter import DeadLetter, transition_of
from bridge.model.job_history import JobHistory
from bridge.model.message import TOO_LARGE
from bridge.model.transition import (
    BEFORE_FIRST,
    Poison,
    Transition,
    made_trans_id,
    next_sequence,
)
from tests.support.factories import NOON

Item = Transition | Poison
SEQUENCE = next_sequence(BEFORE_FIRST, int(NOON.timestamp() * 1000))


def moment(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def transition(state: str, minutes: int, trans_id: str = "") -> Transition:
    """A transition of the job; without ``trans_id`` the bridge makes its identity."""
    sequence = next_sequence(BEFORE_FIRST, int(moment(minutes).timestamp() * 1000))
    trans_id = trans_id or made_trans_id("job", moment(minutes).isoformat(), state, sequence)
    return Transition("job", state, moment(minutes).isoformat(), trans_id, sequence)


def letter(item: Item, number: object = "", reason: str = "", **fields: str) -> DeadLetter:
    """A dead letter about ``item``; ``number`` is its ce_sequence."""
    texts = {name: str(getattr(item, name)) for name in ("job_id", "state", "time", "trans_id")}
    headers = {"ce_sequence": str(number)} if number != "" else {}
    return DeadLetter("0:0", "", texts | {"error_dlq": reason} | fields, headers)


def found(letter: DeadLetter, *items: Item) -> Item | None:
    return transition_of(letter, [JobHistory("job", items)])


CREATED, FAILED = transition("created", 0, "first"), transition("error", 1, "second")
AGAIN = transition("error", 3, "fourth")
UNNAMED, UNNAMED_AGAIN = transition("error", 1), transition("error", 3)
TIMELESS = Poison("", "job", "error", "", "", CREATED.sequence + 1 if CREATED.sequence else None)
#: The sequence of a transition whose time is the latest date.
LATEST = 253_402_300_799_999_001
NO_TIME, NO_STATE = "the time is missing; document _id 7", "the state is int, not text"


@pytest.mark.parametrize("number", ["", 1, SEQUENCE])
@pytest.mark.parametrize("fields", [{}, {"state": "x" * 1000}, {"time": ""}])
def test_an_identity_is_enough(number: object, fields: dict[str, str]) -> None:
    """Its sequence is that of the job, whatever number the letter contains."""
    assert found(letter(FAILED, number, **fields), CREATED, FAILED, AGAIN) == FAILED


def test_the_state_decides_between_equal_identities() -> None:
    twice = [FAILED, AGAIN._replace(state="complete", trans_id="second")]

    assert [found(letter(item), *twice) for item in twice] == twice


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_made_identity_is_found_by_time(number: int) -> None:
    """Older versions made it from the index of the array."""
    old = letter(UNNAMED, number, trans_id=made_trans_id("job", str(number), "error"))

    assert found(old, CREATED, UNNAMED, UNNAMED_AGAIN) == UNNAMED
    assert found(old, CREATED, UNNAMED_AGAIN) is None
    # The service gave it an identity since.
    assert found(old, CREATED, FAILED, AGAIN) == FAILED


def test_another_identity_is_another_transition() -> None:
    assert found(letter(FAILED), CREATED, FAILED._replace(trans_id="other")) is None


@pytest.mark.parametrize("number", ["", 0, 1, 7])
@pytest.mark.parametrize("reason", [NO_TIME, NO_STATE])
def test_an_array_index_identifies_no_transition(number: object, reason: str) -> None:
    """A recovered job uses it again."""
    old = letter(
        UNNAMED, number, reason, trans_id="", time="" if reason == NO_TIME else UNNAMED.time
    )

    assert found(old, CREATED, UNNAMED) == UNNAMED
    twice = [UNNAMED, UNNAMED_AGAIN if reason == NO_TIME else UNNAMED._replace(state="other")]
    assert found(old, CREATED, *twice) is None
    assert found(old, CREATED) is None


def test_a_sequence_identifies_a_corrected_transition() -> None:
    """The time was corrected, so its sequence has changed; that of its predecessor has not."""
    dead = letter(TIMELESS, TIMELESS.sequence, NO_TIME)

    assert found(dead, CREATED, UNNAMED, UNNAMED_AGAIN) == UNNAMED
    assert found(dead, CREATED, UNNAMED_AGAIN, UNNAMED) == UNNAMED_AGAIN
    # Its time was not corrected.
    assert found(dead, CREATED, TIMELESS, UNNAMED_AGAIN) is None


def test_a_vanished_transition_is_not_another() -> None:
    """Its time was never known, so the state alone identifies none."""
    vanished = letter(
        TIMELESS, TIMELESS.sequence, "the transition stood for a moment only: its time"
    )

    assert found(vanished, CREATED, UNNAMED) is None


def test_without_history_the_state_identifies_the_transition() -> None:
    dead = letter(Poison("", "job", "running"))
    latest = Transition("job", "running", NOON.isoformat(), "made", None)

    assert found(dead, latest) == latest
    assert found(dead, latest._replace(state="complete")) is None


@pytest.mark.parametrize(
    ("number", "sequence"),
    [
        ("", None),
        (1, FAILED.sequence),
        (FAILED.sequence, FAILED.sequence),
        (SEQUENCE, SEQUENCE),
        (LATEST, LATEST),
    ],
)
def test_a_letter_without_its_job_orders_too(number: object, sequence: int | None) -> None:
    """Consumers would ignore an array index, which is smaller than any sequence."""
    large = letter(FAILED, number, f"{TOO_LARGE} 2000000 bytes")

    assert transition_of(large, []) == FAILED._replace(sequence=sequence)
    assert transition_of(letter(FAILED, number, "another reason"), []) is None


def test_letters_of_two_states_differ() -> None:
    """The service gave both transitions the same identity."""
    assert letter(FAILED).identity != letter(FAILED, state="complete").identity
    assert letter(FAILED, 1).identity == letter(FAILED, FAILED.sequence).identity
