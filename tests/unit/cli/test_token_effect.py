"""The effect of a position that is set by hand, in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.cli.token_effect import describe, describe_all, effect_of
from bridge.errors import Retryable
from bridge.model.job_history import JobHistory
from bridge.model.position import ClusterTime, Position, position_before
from bridge.settings import Settings
from tests.support.factories import settings, transition

#: A job has a transition in each of ten seconds.
FIRST = 1_700_000_000
SECONDS = 10


def position(second: int) -> Position:
    return position_before(ClusterTime(FIRST + second, 1))


class Histories:
    """Jobs with a transition a second; ``total`` jobs are counted."""

    def __init__(self, jobs: int = 3, total: int | None = None) -> None:
        self.total = jobs if total is None else total
        self.failure: Exception | None = None
        self._jobs = jobs

    def count(self, since: float | None = None) -> int | None:
        if self.failure:
            raise self.failure
        return None if self.total < 0 else self.total

    def jobs(self, since: float) -> Iterator[JobHistory]:
        for number in range(self._jobs):
            times = (datetime.fromtimestamp(FIRST + s, timezone.utc) for s in range(SECONDS))
            yield JobHistory(
                f"job-{number}", [transition(s, time=time) for s, time in enumerate(times)]
            )


def described(
    old: Position, new: Position | None, histories: Histories, given: Settings | None = None
) -> str:
    """The effect in words; it is a loss if the position moves forward."""
    description = describe(effect_of(old, new), cast(Any, histories), given or settings())
    assert description.loses == (new is None or new > old)
    return description.text


def test_forward_names_the_skipped_transitions() -> None:
    assert described(position(2), position(4), Histories()) == (
        "about 9 transitions of 3 jobs between the two positions will not be sent. "
        "'job-bridge replay' can send them from the jobs"
    )


def test_a_cleared_position_skips_up_to_now() -> None:
    text = described(position(7), None, Histories())

    assert "about 9 transitions of 3 jobs after the old position will not be sent" in text


@pytest.mark.parametrize(
    ("read_back", "words"), [("auto", "are left out"), ("off", "are sent again")]
)
def test_back_depends_on_the_read_back(read_back: str, words: str) -> None:
    given = cast(Settings, SimpleNamespace(kafka=SimpleNamespace(read_back=read_back)))

    text = described(position(8), position(7), Histories(2), given)

    assert text == (
        "about 4 transitions of 2 jobs between the two positions will be read again, and those "
        f"that the topic already has {words} (kafka.read_back = {read_back})"
    )


def test_the_same_position_has_no_effect() -> None:
    text = described(position(3), position(3), Histories())

    assert text == "the position does not move: nothing is skipped or read again"


def test_many_jobs_are_only_counted() -> None:
    text = described(position(2), position(4), Histories(3, total=1_000_000))

    assert "the transitions of about 1000000 jobs between the two positions" in text


@pytest.mark.parametrize("failure", [None, Retryable("MongoDB is unreachable")])
def test_an_unknown_number_is_admitted(failure: Exception | None) -> None:
    histories = Histories(total=-1)
    histories.failure = failure

    text = described(position(2), position(4), histories)

    assert "the transitions between the two positions, which cannot be counted now," in text


def test_the_whole_history_is_announced() -> None:
    text, loses = describe_all(cast(Any, Histories(5)), settings())

    assert text.startswith("all transitions of 5 jobs will be read from the history") and not loses
