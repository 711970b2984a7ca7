"""Changes of a history other than a new element: compared with the document before them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.model.transition import Poison, Transition
from tests.support.decoding import (
    FakeLookup,
    decoder,
    decoder_after_insert,
    document,
    in_place,
    item,
    items_of,
    sequence_of,
    updated,
)
from tests.support.factories import NAIVE_NOON, NOON, Raw, element, pushed, shaped

CURRENT, ARCHIVE = "transition_times", "trans_history"


def whole(*elements: Raw | None, array: str = CURRENT) -> Raw:
    """The change of an array that is set as a whole."""
    return {"k": array, "e": list(elements)}


def before(*elements: Raw, archive: tuple[Raw, ...] = (), current: Raw | None = None) -> FakeLookup:
    """A server that knows the document before the event, and its present one if there is one."""
    lookup = FakeLookup([] if current is None else [("key", current)])
    lookup.before["key"] = document("job-0", *elements, archive=archive)
    return lookup


def changed(lookup: FakeLookup, *raws: Raw) -> list[Transition | Poison]:
    """The transitions of events of a known job."""
    return items_of(decoder_after_insert(element(0), lookup=lookup), *raws)


@pytest.mark.parametrize(
    "changes",
    [
        [whole(element(1), element(0))],
        [whole(element(1))],
        [whole()],
        [whole(None, element(1))],
        [{"k": CURRENT, "z": 1}],
        [{"k": CURRENT, "x": True}],
        [{"k": f"{CURRENT}.0", "v": None}],
        [whole(array=CURRENT), whole(element(0), element(1), array=ARCHIVE)],
        [{"k": f"{CURRENT}.0", **element(0)}],
        in_place(0, state="created", time=NAIVE_NOON),
        in_place(0, notif_sent=True),
    ],
    ids=[
        "reordered",
        "shortened",
        "emptied",
        "null before an element",
        "truncated",
        "removed",
        "unset",
        "archived",
        "written again",
        "rewritten as it was",
        "a flag",
    ],
)
def test_an_element_that_stood_before_gives_nothing(changes: list[Raw]) -> None:
    assert changed(before(element(0), element(1)), updated(1, *changes)) == []


def test_an_added_identity_gives_nothing() -> None:
    lookup = before(element(0, i=...), element(1))

    assert changed(lookup, updated(1, *in_place(0, trans_id="t-0"))) == []


def test_a_changed_identity_is_a_transition() -> None:
    (item,) = changed(before(element(0)), updated(1, *in_place(0, trans_id="other")))

    assert item == Transition("job-0", "created", NOON.isoformat(), "other", sequence_of(0))


def test_an_element_is_completed_by_the_document_before() -> None:
    raw = updated(1, *in_place(0, state="download_submitted", trans_id="again"))

    (item,) = changed(before(element(0)), raw)

    assert item == Transition(
        "job-0", "download_submitted", NOON.isoformat(), "again", sequence_of(0)
    )


def test_an_element_rewritten_in_place_is_a_transition() -> None:
    later = NAIVE_NOON + timedelta(milliseconds=9)
    raw = updated(1, *in_place(0, state="complete", time=later, trans_id="again"))

    (item,) = changed(before(element(0), element(1)), raw)

    assert (item.state, item.trans_id, item.sequence) == ("complete", "again", sequence_of(9))


def test_a_removed_time_is_a_dead_letter() -> None:
    raw = updated(1, {"k": f"{CURRENT}.0.time", "x": True})

    (item,) = changed(before(element(0)), raw)

    assert isinstance(item, Poison) and item.reason == "the time is missing; document _id key"


def test_several_new_elements_follow_their_index() -> None:
    """The server sorts fields as text: 10 precedes 9."""
    raw = updated(1, *({"k": f"{CURRENT}.{n}", **element(n)} for n in (10, 8, 9)))

    items = changed(before(*(element(n) for n in range(8))), raw)

    assert [item.sequence for item in items] == [sequence_of(n) for n in (8, 9, 10)]


def test_a_restarted_job_gives_its_new_transition() -> None:
    lookup = before(element(0), element(1))
    raw = updated(
        1,
        whole(element(0), element(1), array=ARCHIVE),
        *in_place(0, state="restarted", time=NAIVE_NOON, trans_id="t-2"),
        {"k": CURRENT, "z": 1},
    )

    (item,) = changed(lookup, raw)

    # Its time is older than that of the archived transitions; its number is not.
    assert item == Transition("job-0", "restarted", NOON.isoformat(), "t-2", sequence_of(1) + 1)


def test_a_second_start_appends_to_the_archive() -> None:
    lookup = before(element(2), archive=(element(0), element(1)))
    raw = updated(
        1,
        {"k": f"{ARCHIVE}.2", **element(2)},
        *in_place(0, state="x", time=NAIVE_NOON, trans_id="y"),
    )

    (item,) = changed(lookup, raw)

    assert (item.state, item.trans_id, item.sequence) == ("x", "y", sequence_of(2) + 1)


def test_a_replaced_document_gives_its_new_transitions() -> None:
    raw = shaped(1, "replace", j="job-9", t=[], a=[element(0), element(1)], h=[element(5)])

    items = changed(before(element(0)), raw)

    assert [(item.job_id, item.trans_id) for item in items] == [("job-9", "t-5"), ("job-9", "t-1")]


def test_a_followed_history_is_read_once() -> None:
    lookup = before(element(0))
    capped = [updated(n, whole(element(n - 1), element(n))) for n in range(1, 6)]

    items = changed(lookup, *capped)

    assert [item.trans_id for item in items] == [f"t-{n}" for n in range(1, 6)]
    assert len(lookup.times) == 1


def test_a_transition_that_returns_is_sent_once() -> None:
    lookup = before(element(0))

    items = changed(
        lookup,
        updated(1, whole(element(0), element(1))),
        updated(2, whole(element(0))),
        pushed(3, 1),
    )

    assert [item.trans_id for item in items] == ["t-1"]


def test_a_long_history_is_read_again() -> None:
    """Its elements are not remembered, so memory stays bounded."""
    lookup = before(*(element(n) for n in range(1001)))

    assert changed(lookup, updated(1, whole(element(0))), updated(2, whole(element(0)))) == []
    assert len(lookup.times) == 2


@pytest.mark.parametrize(
    "index",
    ["word", "-1", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 9, "7" * 5000, "", "0x1", "word.state"],
)
def test_a_key_without_index_is_dead_lettered(index: str) -> None:
    raw = updated(1, {"k": f"{CURRENT}.{index}", **element(1)}, {"k": f"{CURRENT}.y", "v": 1})

    for lookup in (before(element(0)), FakeLookup()):
        (item,) = changed(lookup, raw)
        assert isinstance(item, Poison)
        assert "its history is not an array" in item.reason and "_id key" in item.reason


def test_a_large_index_alone_needs_no_history() -> None:
    (item,) = changed(FakeLookup(), updated(1, {"k": f"{CURRENT}.{10**8 - 1}", **element(1)}))

    assert item.trans_id == "t-1"


class TestWithoutSnapshot:
    """MongoDB no longer has the document of that time."""

    def test_whole_elements_are_accepted(self) -> None:
        (item,) = changed(FakeLookup(), updated(1, whole(element(1))))

        assert item.trans_id == "t-1"

    @pytest.mark.parametrize("identity", ["t-2", "other", None])
    def test_an_identity_alone_gives_nothing(self, identity: str | None) -> None:
        lookup = FakeLookup([("key", document("job-0", element(2)))])

        assert changed(lookup, updated(1, *in_place(0, trans_id=identity))) == []

    def test_the_same_transition_is_completed(self) -> None:
        lookup = FakeLookup([("key", document("job-0", element(4, "x", i="again"), element(5)))])
        raw = updated(1, *in_place(0, state="x", trans_id="again"))

        (item,) = changed(lookup, raw)

        assert isinstance(item, Transition)
        assert (item.state, item.trans_id, item.sequence) == ("x", "again", sequence_of(4))

    def test_another_transition_does_not_complete_it(self) -> None:
        lookup = FakeLookup([("key", document("job-0", element(4, "y", i="again")))])
        raw = updated(1, *in_place(0, state="x", trans_id="again"))

        (item,) = changed(lookup, raw)

        assert isinstance(item, Poison)
        assert item.reason == (
            "the transition stood for a moment only: its time can no longer be read; "
            "document _id key"
        )
        assert (item.job_id, item.state, item.trans_id) == ("job-0", "x", "again")

    @pytest.mark.parametrize(
        ("values", "missing"),
        [({"state": "x"}, "time and identity"), ({"time": NAIVE_NOON}, "state and identity")],
    )
    def test_a_state_or_time_alone_is_dead_lettered(
        self, values: dict[str, Any], missing: str
    ) -> None:
        """Another transition may have the same."""
        lookup = FakeLookup([("key", document("job-0", element(0, "x")))])

        (item,) = changed(lookup, updated(1, *in_place(0, **values)))

        assert isinstance(item, Poison)
        assert f"its {missing} can no longer be read" in item.reason

    def test_the_document_after_the_event_counts_first(self) -> None:
        lookup = FakeLookup([("key", document("job-0", element(4, "x", i="again")))])
        lookup.after["key"] = document("job-0", element(0, "x", i="again"))
        raw = updated(1, *in_place(0, state="x", trans_id="again"))

        (item,) = changed(lookup, raw)

        assert (item.time, item.sequence) == (NOON.isoformat(), sequence_of(0))

    def test_a_deleted_job_is_a_dead_letter(self) -> None:
        """It was deleted before the bridge could read its id."""
        (item,) = items_of(decoder(), updated(1, *in_place(0, state="x", trans_id="y")))

        assert isinstance(item, Poison)
        assert (item.job_id, item.state, item.trans_id) == ("", "x", "y")


def test_an_unknown_jobs_partial_change_is_completed() -> None:
    lookup = before(element(0), current=document("job-9", element(9)))

    transition = item(updated(1, *in_place(0, state="x", trans_id="y")), lookup=lookup)

    assert (transition.job_id, transition.state, transition.time) == (
        "job-0",
        "x",
        NOON.isoformat(),
    )
