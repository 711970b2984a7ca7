"""Events of a transaction have the same cluster time, so no document shows what is between them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bridge.model.transition import Poison, Transition
from bridge.mongo.decoder import Decoder, position_of_token
from tests.support.decoding import (
    FakeLookup,
    decoder,
    decoder_after_insert,
    document,
    in_place,
    in_transaction,
    sequence_of,
    updated,
)
from tests.support.factories import NAIVE_NOON, Raw, element, inserted, pushed

#: A job gets a transition, which is changed twice, and its identity is added at last.
CHANGES = in_transaction(
    pushed(1, 1),
    updated(1, *in_place(1, state="x", trans_id="t-x")),
    pushed(1, 1, key="other") | {"j": "job-1"},
    updated(1, *in_place(1, state="y", trans_id="t-y")),
    updated(1, {"k": "transition_times", "z": 1}),
    pushed(1, 1, element(5)),
)
EXPECTED = [
    ("job-0", "download_submitted", "t-1"),
    ("job-0", "x", "t-x"),
    ("job-1", "download_submitted", "t-1"),
    ("job-0", "y", "t-y"),
    ("job-0", "complete", "t-5"),
]


def read(decoder: Decoder, batches: Sequence[Sequence[Raw]]) -> list[Transition | Poison]:
    return [item for batch in batches for event in decoder.decode(batch) for item in event.items]


def lookup_before(*elements: Raw) -> FakeLookup:
    lookup = FakeLookup()
    lookup.before["key"] = document("job-0", *elements)
    return lookup


@pytest.mark.parametrize("first", range(len(CHANGES) + 1))
def test_a_transaction_may_span_batches(first: int) -> None:
    known = decoder_after_insert(element(0), lookup=lookup_before(element(0)))

    items = read(known, [CHANGES[:first], [], CHANGES[first:]])

    assert [(item.job_id, item.state, item.trans_id) for item in items] == EXPECTED
    assert items[-1].sequence == sequence_of(5)


def test_each_event_may_be_a_batch() -> None:
    known = decoder_after_insert(element(0), lookup=lookup_before(element(0)))

    items = read(known, [[raw] for raw in CHANGES])

    assert [(item.job_id, item.state, item.trans_id) for item in items] == EXPECTED


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_job_of_the_transaction_is_followed(size: int) -> None:
    """No document shows it before."""
    raws = in_transaction(
        inserted(1, element(0)),
        pushed(1, 1),
        updated(1, *in_place(0, state="x", trans_id="t-x")),
    )
    raws_by_size = [raws[n : n + size] for n in range(0, len(raws), size)]

    items = read(decoder(FakeLookup()), raws_by_size)
    without_snapshot = [type(item) for item in items]
    lookup = FakeLookup()
    lookup.missing.add("key")
    items = read(decoder(lookup), raws_by_size)

    assert [(item.state, item.trans_id) for item in items] == [
        ("created", "t-0"),
        ("download_submitted", "t-1"),
        ("x", "t-x"),
    ]
    assert without_snapshot == [Transition, Transition, Poison]


def test_an_unknown_jobs_transaction_is_followed() -> None:
    lookup = lookup_before(element(0))
    lookup.add("key", document("job-9", element(9)))

    items = read(decoder(lookup), [CHANGES[:2], CHANGES[2:]])

    assert [(item.job_id, item.state, item.trans_id) for item in items] == EXPECTED


def test_a_start_inside_a_transaction_guesses_nothing() -> None:
    """The document before the transaction lacks its earlier events."""
    lookup = lookup_before(element(0))
    lookup.add("key", document("job-0", element(0), element(5)))
    start = position_of_token(CHANGES[0]["_id"])

    items = read(decoder(lookup, start=start), [CHANGES[1:]])

    assert [(item.job_id, item.state, item.trans_id) for item in items] == [
        ("", "x", "t-x"),
        *EXPECTED[2:3],
        ("", "y", "t-y"),
        ("job-0", "complete", "t-5"),
    ]
    poisons = [item for item in items if isinstance(item, Poison)]
    assert [item.state for item in poisons] == ["x", "y"]
    assert all("time can no longer be read" in item.reason for item in poisons)


def test_a_start_inside_a_transaction_accepts_the_same() -> None:
    lookup = lookup_before(element(0))
    lookup.add("key", document("job-0", element(0), element(1, "x", i="t-x")))
    start = position_of_token(CHANGES[0]["_id"])

    items = read(decoder(lookup, start=start), [CHANGES[1:2]])

    assert [(item.job_id, item.state, item.trans_id) for item in items] == EXPECTED[1:2]


def test_a_start_before_a_transaction_knows_it() -> None:
    start = position_of_token(inserted(0)["_id"])

    items = read(decoder(lookup_before(element(0)), start=start), [CHANGES[:1], CHANGES[1:2]])

    assert [item.trans_id for item in items] == ["t-1", "t-x"]


def test_a_later_event_does_not_belong_to_it() -> None:
    known = decoder_after_insert(element(0), lookup=lookup_before(element(0), element(1)))
    later = updated(2, *in_place(1, state="x", time=NAIVE_NOON, trans_id="t-x"))

    items = read(known, [[*CHANGES[:1], later]])

    assert [item.trans_id for item in items] == ["t-1", "t-x"]
