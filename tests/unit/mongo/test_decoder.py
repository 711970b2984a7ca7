"""Decodes shaped change events, unusual documents included."""

from __future__ import annotations

import logging
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import Code, Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.model.position import ClusterTime
from bridge.model.profile import PROFILES
from bridge.model.transition import Poison, Transition, made_trans_id
from bridge.mongo.decoder import Decoder, position_of_token
from bridge.mongo.job_id_cache import JobIdCache
from tests.support.decoding import decoded, item
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
        "job-0", "created", NOON.isoformat(), "t-0", 0
    )


def test_an_insert_may_have_several_transitions() -> None:
    (event,) = decoded(inserted(1, element(0), element(1)))

    assert [(item.state, item.sequence) for item in event.items] == [
        ("created", 0),
        ("download_submitted", 1),
    ]


def test_a_new_element_is_a_transition() -> None:
    expected = Transition(
        "job-0", "job_submitted", (NOON + timedelta(milliseconds=3)).isoformat(), "t-3", 3
    )

    assert item(pushed(1, 3)) == expected


@given(st.datetimes())
@example(datetime(1969, 12, 31, 23, 59, 59, 999_000))
@example(datetime(2026, 3, 2, 12))
def test_times_have_the_isoformat_of_python(time: datetime) -> None:
    time = time.replace(microsecond=time.microsecond // 1000 * 1000)  # the precision of BSON

    assert (
        item(inserted(1, {**element(0), "d": time})).time
        == time.replace(tzinfo=timezone.utc).isoformat()
    )


def test_elements_are_sorted_by_index() -> None:
    raw = shaped(1, "update", t=[{"k": f"transition_times.{n}", **element(n)} for n in (10, 2, 9)])

    (event,) = decoded(raw)

    assert [item.sequence for item in event.items] == [2, 9, 10]


@pytest.mark.parametrize("path", ["transition_times.0.notes", "transition_times.1.more.deep"])
def test_a_document_inside_an_element_is_ignored(path: str) -> None:
    (event,) = decoded(shaped(1, "update", t=[{"k": path, "s": "error"}]))

    assert (event.items, event.skipped) == ((), "no_transition")


def test_a_rewritten_history_is_sent_whole(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (event,) = decoded(shaped(1, "update", t=[], a=[element(0), element(1)]))

    assert [item.sequence for item in event.items] == [0, 1]
    assert "all its transitions are sent again" in caplog.text and "2 transitions" in caplog.text


def test_a_replaced_document_gives_its_whole_history() -> None:
    (event,) = decoded(shaped(1, "replace", j="job-9", t=[], a=[element(0)]))

    assert event.items[0].job_id == "job-9"


def test_an_element_rewritten_in_place_is_a_transition() -> None:
    raw = shaped(
        5,
        "update",
        n="download_submitted",
        t=[
            {"k": "transition_times.0.state", "v": "download_submitted"},
            {"k": "transition_times.0.time", "v": NAIVE_NOON},
            {"k": "transition_times.0.trans_id", "v": "again"},
        ],
    )

    assert item(raw) == Transition("job-0", "download_submitted", NOON.isoformat(), "again", 0)


def test_an_unchanged_time_is_replaced_by_the_commits() -> None:
    raw = shaped(
        5,
        "update",
        n="download_submitted",
        t=[{"k": "transition_times.0.trans_id", "v": "again"}],
    )

    assert item(raw) == Transition(
        "job-0", "download_submitted", (NOON + timedelta(seconds=5)).isoformat(), "again", 0
    )


def test_a_new_time_alone_is_not_a_transition() -> None:
    (event,) = decoded(shaped(1, "update", t=[{"k": "transition_times.0.time", "v": NAIVE_NOON}]))

    assert event.items == ()


def test_an_unknown_state_passes_through() -> None:
    assert item(pushed(1, 1, element(1, "paused"))).state == "paused"


def test_a_repeated_state_is_two_transitions() -> None:
    first, second = decoded(pushed(1, 1, element(1, "error")), pushed(2, 2, element(2, "error")))

    assert [first.items[0].trans_id, second.items[0].trans_id] == ["t-1", "t-2"]


@pytest.mark.parametrize("missing", [..., None, "", 7])
def test_a_missing_trans_id_is_made_reproducibly(missing: object) -> None:
    raw = pushed(1, 4, element(4, "complete", i=missing))

    assert item(raw).trans_id == item(raw).trans_id == made_trans_id("job-0", 4, "complete")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"s": ...}, "the state is missing"),
        ({"s": 7}, "the state is int, not text"),
        ({"d": ...}, "the time is missing"),
        ({"d": "yesterday"}, "the time is str, not a date"),
        ({"d": 1772467451.0}, "the time is float, not a date"),
        ({"d": DatetimeMS(2**60)}, "the time is DatetimeMS, not a date"),
    ],
)
def test_poison_contains_its_reason(fields: dict[str, Any], reason: str) -> None:
    poison = item(pushed(1, 1, element(1, **fields)))

    assert isinstance(poison, Poison)
    assert poison.reason == f"{reason}; document _id key"
    assert (poison.job_id, poison.sequence) == ("job-0", 1)


@pytest.mark.parametrize("broken", [None, "text", 5, []])
def test_an_element_without_fields_is_poison(broken: object) -> None:
    raw = inserted(1, element(0))
    raw["a"].append(broken)

    (event,) = decoded(raw)

    assert [type(item) for item in event.items] == [Transition, Poison]


@pytest.mark.parametrize(
    ("job_id", "reason"),
    [
        (None, "the job id is missing"),
        (5, "the job id is int, not text"),
        (ObjectId(), "the job id is ObjectId, not text"),
    ],
)
def test_a_job_without_a_usable_id_is_poison(job_id: object, reason: str) -> None:
    for poison in (
        item(inserted(1, element(0), job_id=job_id)),
        item(pushed(1, 1), jobs={"key": job_id}),
    ):
        assert isinstance(poison, Poison)
        assert poison.reason.startswith(reason)
        assert poison.state in ("created", "download_submitted")


def test_a_job_deleted_before_look_up_is_poison() -> None:
    poison = item(pushed(1, 1), jobs={})

    assert isinstance(poison, Poison)
    assert "deleted before its id could be looked up" in poison.reason
    assert (poison.job_id, poison.trans_id) == ("", "t-1")


@pytest.mark.parametrize(
    "key", [{"site": 1, "job": 2}, Decimal128("1.5"), Code("f()"), float("nan"), None]
)
def test_documents_may_have_any_key(key: Any) -> None:
    decoder = Decoder(PROFILES["cts"], JobIdCache(lambda keys: [(key, "job-2") for key in keys]))

    events = decoder.decode(
        [
            inserted(1, element(0), key=key, job_id="job-1"),
            pushed(2, 1, key=deepcopy(key)),
            pushed(3, 1, key={"other": key}),
        ]
    )

    assert [event.items[0].job_id for event in events] == ["job-1", "job-1", "job-2"]


def test_ids_of_a_batch_are_looked_up_together() -> None:
    queries = []

    def lookup(keys: list[Any]) -> list[tuple[Any, Any]]:
        queries.append(sorted(keys))
        return [(key, f"job-{key}") for key in reversed(keys)]

    decoder = Decoder(PROFILES["cts"], JobIdCache(lookup))
    events = decoder.decode(
        [
            pushed(1, 1, key="a"),
            inserted(2, element(0), key="b", job_id="job-b"),
            pushed(3, 1, key="b"),
            pushed(4, 1, key="c"),
            pushed(5, 2, key="a"),
        ]
    )

    assert [event.items[0].job_id for event in events] == [
        "job-a",
        "job-b",
        "job-b",
        "job-c",
        "job-a",
    ]
    assert queries == [["a", "c"]]


def test_a_sharded_collection_needs_no_look_up() -> None:
    decoder = Decoder(PROFILES["cts"], JobIdCache(lambda _: pytest.fail("nothing to look up")))

    (event,) = decoder.decode([pushed(1, 1) | {"j": "job-7"}])

    assert event.items[0].job_id == "job-7"


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
