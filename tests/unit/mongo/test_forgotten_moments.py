"""Rewritten histories of which MongoDB no longer has the document before the event."""

from __future__ import annotations

from bridge.model.profile import PROFILES
from bridge.model.transition import Poison, Transition
from bridge.mongo.job_documents import JobDocuments
from tests.support.decoding import decoder, decoder_after_insert, in_place, items_of, updated
from tests.support.factories import element, pushed


def restarted(number: int) -> dict[str, object]:
    """The job moves both elements to the archive and begins again with the third."""
    third = element(2)
    return updated(
        number,
        {"k": "trans_history", "e": [element(0), element(1)]},
        {"k": "transition_times", "z": 1},
        *in_place(0, state=third["s"], time=third["d"], trans_id=third["i"]),
    )


def test_what_the_stream_sent_is_not_repeated() -> None:
    known = decoder_after_insert(element(0))

    items_of(known, pushed(1, 1))

    assert [item.trans_id for item in items_of(known, restarted(2))] == ["t-2"]


def test_a_shift_repeats_nothing_that_was_sent() -> None:
    """The event has no state where the next element's equals that of the element it replaces."""
    first, second = element(0, "running"), element(1, "running")
    known = decoder_after_insert(first, second)
    shift = updated(
        1,
        {"k": "transition_times", "z": 1},
        *in_place(0, time=second["d"], trans_id=second["i"]),
    )

    assert items_of(known, shift) == []


def test_what_it_did_not_send_is_sent() -> None:
    """No document shows which of the elements are new."""
    items = items_of(decoder(), restarted(1) | {"j": "job-0"})

    assert {item.trans_id for item in items} == {"t-0", "t-1", "t-2"}
    assert all(isinstance(item, Transition) for item in items)


def test_a_removed_job_id_is_not_used() -> None:
    known = decoder_after_insert(element(0))

    (event,) = known.decode([pushed(1, 1) | {"n": None}])

    (item,) = event.items
    assert isinstance(item, Poison) and item.job_id == ""


def test_a_history_of_another_type_is_dead() -> None:
    documents = JobDocuments(PROFILES["cts"])
    for odd in ({"0": {"state": "created"}}, 5, "text"):
        (item,) = documents.history({"_id": 1, "id": "job-0", "transition_times": odd}).items
        assert isinstance(item, Poison)

    assert documents.history({"_id": 1, "id": "job-0", "transition_times": None}).items == []
