"""An event that the bridge cannot decode becomes a dead letter; the others are decoded."""

from __future__ import annotations

import logging
from typing import Any

import bson
import pytest

from bridge.errors import Retryable
from bridge.model.position import ClusterTime
from bridge.model.transition import Event, Poison, Transition
from bridge.mongo.array_index import NotAnArray, parse_index
from bridge.mongo.job_lookup import Image
from bridge.mongo.unreadable_event import parse_each
from tests.support.decoding import FakeLookup, decoded, decoder
from tests.support.factories import at, element, inserted, shaped, token

#: The byte that a valid event has as a boolean.
TRUE, INVALID = b"\x08b\x00\x01", b"\x08b\x00\x02"


class FaultyLookup(FakeLookup):
    """Fails on the documents of a key."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def at(self, key: Any, time: ClusterTime) -> Image | None:
        if key == "odd":
            raise self._error
        return super().at(key, time)


def reply_of(*events: dict[str, Any]) -> bytes:
    cursor = {"id": 5, "nextBatch": list(events), "postBatchResumeToken": {"_data": token(9)}}
    return bson.encode({"cursor": cursor})


def replaced_odd(number: int) -> dict[str, Any]:
    """An event whose document is read."""
    return shaped(number, "replace", "odd", j="job-1", a=[element(0)])


def reason_of(event: Event) -> str:
    (item,) = event.items
    assert isinstance(item, Poison)
    return item.reason


def test_an_undecodable_event_is_dead_lettered(caplog: pytest.LogCaptureFixture) -> None:
    raws = [inserted(1, element(0)), replaced_odd(2), inserted(3, element(0))]

    with caplog.at_level(logging.ERROR):
        before, odd, after = decoder(FaultyLookup(ValueError("too many digits"))).decode(raws)

    assert isinstance(before.items[0], Transition) and isinstance(after.items[0], Transition)
    assert odd.position == at(2)
    assert reason_of(odd) == (
        "an event cannot be read: document _id odd; "
        "the bridge cannot decode it (ValueError: too many digits)"
    )
    assert "cannot be decoded" in caplog.text


def test_a_failing_lookup_is_no_fault_of_events() -> None:
    with pytest.raises(Retryable):
        decoder(FaultyLookup(Retryable("unreachable"))).decode([replaced_odd(1)])


def test_invalid_bson_is_dead_lettered_alone() -> None:
    odd = inserted(2, element(0)) | {"b": True}
    reply = reply_of(inserted(1, element(0)), odd, inserted(3, element(0)))

    (events, after, cursor_id), (unreadable,) = parse_each(reply.replace(TRUE, INVALID))

    assert [event["_id"]["_data"] for event in events] == [token(1), token(3)]
    assert (after, cursor_id) == ({"_data": token(9)}, 5)
    assert unreadable.position == at(2)
    assert reason_of(unreadable).startswith("an event cannot be read: _id unknown; its BSON")


@pytest.mark.parametrize("key", ["9" * 5000, "9" * 20, "-1", "", "word", "\u0663", "1e3", "\ufffd"])
def test_a_history_with_other_keys_is_dead_lettered(key: str) -> None:
    change = {"k": f"transition_times.{key}", **element(0)}
    (event,) = decoded(shaped(1, "update", t=[change]))

    assert "document _id key; its history is not an array" in reason_of(event)
    assert len(reason_of(event)) < 200


@pytest.mark.parametrize(("text", "index"), [("0", 0), ("12", 12), ("99999999", 99_999_999)])
def test_an_index_is_a_short_number(text: str, index: int) -> None:
    assert parse_index(text) == index


def test_a_long_number_is_not_an_index() -> None:
    with pytest.raises(NotAnArray):
        parse_index("100000000")
