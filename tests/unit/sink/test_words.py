"""What a client says of its troubles, and what of that is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.sink.words import LastWords
from tests.fakes import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    clock = FakeClock()
    monkeypatch.setattr("bridge.sink.words.time", clock)
    yield clock


def test_the_last_words_are_kept_for_a_while(clock: FakeClock) -> None:
    last = LastWords("client", "nothing")
    for each in ("first", "second", "this says nothing"):
        last.note(each)

    assert last.recent() == "second"
    clock.advance(31)
    assert last.recent() == ""


def test_what_says_less_does_not_hide_what_led_to_it(clock: FakeClock) -> None:
    last = LastWords("client", less="timed out")
    last.note("it timed out")
    assert last.recent() == "it timed out"

    last.note("the password is wrong")
    last.note("it timed out")

    assert last.recent() == "the password is wrong"
