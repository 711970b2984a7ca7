"""Decodes shaped change events of known jobs, unusual elements included."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.model.position import ClusterTime
from bridge.model.transition import Poison, Transition, made_trans_id
from bridge.mongo.decoder import position_of_token
from tests.support.decoding import (
    FakeLookup,
    decoded,
    decoder_after_insert,
    item,
    item_after_insert,
    items_of,
    sequence_of,
)
from tests.support.factories import (
    BASE,
    NAIVE_NOON,
    NOON,
    at,
    element,
    inserted,
    pushed,
    shaped,
    token,
)


def test_an_insert_gives_its_first_transition() -> None:
    assert item(inserted(1, element(0))) == Transition(
        "job-0", "created", NOON.isoformat(), "t-0", sequence_of(0)
    )


def test_an_insert_may_have_several_transitions() -> None:
    (event,) = decoded(inserted(1, element(0), element(1)))

    assert [(item.state, item.sequence) for item in event.items] == [
        ("created", sequence_of(0)),
        ("download_submitted", sequence_of(1)),
    ]


def test_an_inserted_archive_precedes_the_history() -> None:
    (event,) = decoded(inserted(1, element(2)) | {"h": [element(0), element(1)]})

    assert [item.trans_id for item in event.items] == ["t-0", "t-1", "t-2"]


def test_a_new_element_is_a_transition() -> None:
    expected = Transition(
        "job-0",
        "job_submitted",
        (NOON + timedelta(milliseconds=3)).isoformat(),
        "t-3",
        sequence_of(3),
    )

    assert item_after_insert(pushed(1, 3)) == expected


def test_new_elements_of_known_jobs_need_no_look_up() -> None:
    lookup = FakeLookup()
    decoder = decoder_after_insert(element(0), lookup=lookup)

    items = items_of(decoder, *(pushed(n, n) for n in range(1, 9)))

    assert [item.sequence for item in items] == [sequence_of(n) for n in range(1, 9)]
    assert (lookup.lookups, lookup.times) == (0, [])


def test_a_sequence_grows_though_times_do_not() -> None:
    decoder = decoder_after_insert(element(5))

    items = items_of(decoder, pushed(1, 1, element(3)), pushed(2, 2, element(5, i="x")))

    assert [item.sequence for item in items] == [sequence_of(5) + 1, sequence_of(5) + 2]


@given(st.datetimes())
@example(datetime(1969, 12, 31, 23, 59, 59, 999_000))
@example(datetime(2026, 3, 2, 12))
def test_times_have_the_isoformat_of_python(time: datetime) -> None:
    time = time.replace(microsecond=time.microsecond // 1000 * 1000)  # the precision of BSON

    assert (
        item(inserted(1, {**element(0), "d": time})).time
        == time.replace(tzinfo=timezone.utc).isoformat()
    )


def test_an_unknown_state_passes_through() -> None:
    assert item_after_insert(pushed(1, 1, element(1, "paused"))).state == "paused"


def test_a_repeated_state_is_two_transitions() -> None:
    first, second = items_of(
        decoder_after_insert(element(0)),
        pushed(1, 1, element(1, "error")),
        pushed(2, 2, element(2, "error")),
    )

    assert [first.trans_id, second.trans_id] == ["t-1", "t-2"]


@pytest.mark.parametrize("missing", [..., None, "", 7])
def test_a_missing_trans_id_is_made_reproducibly(missing: object) -> None:
    raw = pushed(1, 4, element(4, "complete", i=missing))
    time = (NOON + timedelta(milliseconds=4)).isoformat()
    made = made_trans_id("job-0", time, "complete", sequence_of(4))

    assert item_after_insert(raw).trans_id == item_after_insert(raw).trans_id == made


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"s": 7}, "the state is int, not text"),
        ({"d": "yesterday"}, "the time is str, not a date"),
        ({"d": 1772467451.0}, "the time is float, not a date"),
        ({"d": DatetimeMS(2**60)}, "the time is DatetimeMS, not a date"),
    ],
)
def test_poison_contains_its_reason(fields: dict[str, Any], reason: str) -> None:
    poison = item_after_insert(pushed(1, 1, element(1, **fields)))

    assert isinstance(poison, Poison)
    assert poison.reason == f"{reason}; document _id key"
    assert (poison.job_id, poison.trans_id) == ("job-0", "t-1")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"s": ...}, "the state is missing"), ({"d": ...}, "the time is missing")],
)
def test_an_incomplete_element_is_poison(fields: dict[str, Any], reason: str) -> None:
    poison = item(inserted(1, element(1, **fields)))

    assert isinstance(poison, Poison)
    assert poison.reason == f"{reason}; document _id key"


def test_a_transition_after_poison_has_its_place() -> None:
    poison, good = items_of(
        decoder_after_insert(element(0)),
        pushed(1, 1, element(1, d="yesterday")),
        pushed(2, 2, element(0, i="again")),
    )

    assert [poison.sequence, good.sequence] == [sequence_of(0) + 1, sequence_of(0) + 2]


def test_an_element_without_fields_is_poison() -> None:
    (event,) = decoded(inserted(1, element(0), {}))

    assert [type(item) for item in event.items] == [Transition, Poison]


def test_an_unset_element_is_not_a_transition() -> None:
    """MongoDB leaves null in its place."""
    raw = inserted(1, element(0))
    raw["a"].insert(0, None)

    assert isinstance(item(raw), Transition)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("delete", "delete"),
        ("drop", "collection"),
        ("rename", "collection"),
        ("invalidate", "collection"),
        ("dropDatabase", "collection"),
        ("somethingNew", "collection"),
    ],
)
def test_other_operations_are_skipped_with_a_warning(
    operation: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw = shaped(1, operation)
    del raw["k"]

    with caplog.at_level(logging.WARNING):
        (event,) = decoded(raw)

    assert (event.items, event.skipped, event.position) == ((), reason, at(1))
    assert len(caplog.records) == 1


def test_the_position_is_the_whole_token() -> None:
    raw = pushed(7, 1)
    raw["_id"]["_typeBits"] = b"\x80\x40"

    position = position_of_token(raw["_id"])

    assert decoded(raw)[0].position == position
    assert (position.token, position.type_bits) == (token(7), "8040")
    assert position.cluster_time == ClusterTime(BASE + 7, 1)


def test_the_commit_time_is_the_servers_wall_time() -> None:
    raw = pushed(1, 1)
    assert decoded(raw)[0].committed == (NOON + timedelta(seconds=1)).timestamp()

    del raw["w"]
    assert decoded(raw)[0].committed is None


def test_a_time_without_milliseconds_has_no_fraction() -> None:
    whole = NAIVE_NOON.replace(microsecond=0)

    assert item(inserted(1, element(0, d=whole))).time == f"{whole.isoformat()}+00:00"
