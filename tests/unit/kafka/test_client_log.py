"""What a client says of its troubles, and what of that is kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from bridge.kafka.client_log import LatestWarning
from tests.support.fakes import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    clock = FakeClock()
    monkeypatch.setattr("bridge.kafka.client_log.time", clock)
    yield clock


def test_the_last_words_are_kept_for_a_while(clock: FakeClock) -> None:
    last = LatestWarning("client", "nothing")
    for each in ("first", "second", "this says nothing"):
        last.note(each)

    assert last.recent() == "second"
    clock.advance(31)
    assert last.recent() == ""


def test_others_who_listen_to_the_client_still_do() -> None:
    """A service that uses the client itself has a Notifier beside it."""
    heard: list[str] = []
    library, theirs = logging.getLogger("client"), logging.NullHandler()
    theirs.handle = lambda record: heard.append(record.getMessage()) or True  # type: ignore[method-assign, func-returns-value]
    library.addHandler(theirs)
    try:
        first, second = LatestWarning("client").install(), LatestWarning("client").install()
        logging.getLogger("client.connection").warning("it is away")

        assert (heard, first.recent(), second.recent()) == (["it is away"], "", "it is away")
        assert library.propagate
    finally:
        library.handlers.clear()


def test_what_says_less_does_not_hide_what_led_to_it(clock: FakeClock) -> None:
    last = LatestWarning("client", less="timed out")
    last.note("it timed out")
    assert last.recent() == "it timed out"

    last.note("the password is wrong")
    last.note("it timed out")

    assert last.recent() == "the password is wrong"
