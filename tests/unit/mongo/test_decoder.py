"""Shaped change events to transitions, odd documents included."""

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
from bridge.model.profile import PROFILES, Profile
from bridge.model.transition import Event, Poison, Transition, made_trans_id
from bridge.mongo.decoder import Decoder, position_of_token
from bridge.mongo.job_id_cache import JobIdCache
from tests.support.factories import (
    BASE,
    NAIVE_NOON,
    NOON,
    Raw,
    at,
    element,
    inserted,
    pushed,
    shaped,
    token,
)


def decoded(*raws: Raw, profile: str = "cts", jobs: dict[Any, Any] | None = None) -> list[Event]:
    known = {"key": "job-0"} if jobs is None else jobs
    ids = JobIdCache(lambda keys: [(key, known[key]) for key in keys if key in known])
    return Decoder(PROFILES[profile], ids).decode(raws)


def item(raw: Raw, **options: Any) -> Transition | Poison:
    (found,) = decoded(raw, **options)
    assert found.skipped == ""
    (only,) = found.items
    return only


def test_an_insert_gives_its_first_transition() -> None:
    assert item(inserted(1, element(0))) == Transition(
        "job-0", "created", NOON.isoformat(), "t-0", 0
    )


def test_an_insert_may_have_several_transitions() -> None:
    (found,) = decoded(inserted(1, element(0), element(1)))

    assert [(one.state, one.sequence) for one in found.items] == [
        ("created", 0),
        ("download_submitted", 1),
    ]


def test_a_new_element_gives_its_transition_with_the_id_looked_up() -> None:
    expected = Transition(
        "job-0", "job_submitted", (NOON + timedelta(milliseconds=3)).isoformat(), "t-3", 3
    )

    assert item(pushed(1, 3)) == expected


@given(st.datetimes())
@example(datetime(1969, 12, 31, 23, 59, 59, 999_000))
@example(datetime(2026, 3, 2, 12))
def test_a_time_is_told_as_python_tells_it(time: datetime) -> None:
    time = time.replace(microsecond=time.microsecond // 1000 * 1000)  # BSON knows no more

    assert (
        item(inserted(1, {**element(0), "d": time})).time
        == time.replace(tzinfo=timezone.utc).isoformat()
    )


def test_elements_of_one_event_come_by_their_index_not_by_their_text() -> None:
    raw = shaped(1, "update", t=[{"k": f"transition_times.{n}", **element(n)} for n in (10, 2, 9)])

    (found,) = decoded(raw)

    assert [one.sequence for one in found.items] == [2, 9, 10]


@pytest.mark.parametrize(
    "path", ["transition_times.0.notes", "transition_times.x", "transition_times.1.more.deep"]
)
def test_a_document_set_deeper_in_the_history_is_no_transition(path: str) -> None:
    (found,) = decoded(shaped(1, "update", t=[{"k": path, "s": "error"}]))

    assert (found.items, found.skipped) == ((), "no_transition")


def test_a_history_written_anew_is_sent_whole_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (found,) = decoded(shaped(1, "update", t=[], a=[element(0), element(1)]))

    assert [one.sequence for one in found.items] == [0, 1]
    assert "all 2 transitions are sent again" in caplog.text


def test_a_replaced_document_gives_its_whole_history_under_its_own_id() -> None:
    (found,) = decoded(shaped(1, "replace", j="job-9", t=[], a=[element(0)]))

    assert found.items[0].job_id == "job-9"


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


def test_an_element_rewritten_at_the_same_time_has_the_time_of_its_commit() -> None:
    raw = shaped(
        5,
        "update",
        n="download_submitted",
        t=[{"k": "transition_times.0.trans_id", "v": "again"}],
    )

    assert item(raw) == Transition(
        "job-0", "download_submitted", (NOON + timedelta(seconds=5)).isoformat(), "again", 0
    )


def test_a_new_time_alone_is_no_transition() -> None:
    (found,) = decoded(shaped(1, "update", t=[{"k": "transition_times.0.time", "v": NAIVE_NOON}]))

    assert found.items == ()


def test_an_unknown_state_passes_through() -> None:
    assert item(pushed(1, 1, element(1, "paused"))).state == "paused"


def test_a_state_that_comes_twice_is_sent_twice() -> None:
    first, second = decoded(pushed(1, 1, element(1, "error")), pushed(2, 2, element(2, "error")))

    assert [first.items[0].trans_id, second.items[0].trans_id] == ["t-1", "t-2"]


@pytest.mark.parametrize("missing", [..., None, "", 7])
def test_a_transition_without_an_identity_gets_one_that_replays_repeat(missing: object) -> None:
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
def test_a_transition_that_cannot_be_sent_says_why(fields: dict[str, Any], reason: str) -> None:
    found = item(pushed(1, 1, element(1, **fields)))

    assert isinstance(found, Poison)
    assert found.reason == f"{reason}; document _id key"
    assert (found.job_id, found.sequence) == ("job-0", 1)


@pytest.mark.parametrize("broken", [None, "text", 5, []])
def test_an_element_that_is_no_document_is_poison_among_good_ones(broken: object) -> None:
    raw = inserted(1, element(0))
    raw["a"].append(broken)

    (found,) = decoded(raw)

    assert [type(one) for one in found.items] == [Transition, Poison]


@pytest.mark.parametrize(
    ("job_id", "reason"),
    [
        (None, "the job id is missing"),
        (5, "the job id is int, not text"),
        (ObjectId(), "the job id is ObjectId, not text"),
    ],
)
def test_a_job_without_a_usable_id_is_poison(job_id: object, reason: str) -> None:
    for found in (
        item(inserted(1, element(0), job_id=job_id)),
        item(pushed(1, 1), jobs={"key": job_id}),
    ):
        assert isinstance(found, Poison)
        assert found.reason.startswith(reason)
        assert found.state in ("created", "download_submitted")


def test_a_job_deleted_before_its_id_was_looked_up_is_poison() -> None:
    found = item(pushed(1, 1), jobs={})

    assert isinstance(found, Poison)
    assert "deleted before its id could be looked up" in found.reason
    assert (found.job_id, found.trans_id) == ("", "t-1")


@pytest.mark.parametrize(
    "key", [{"site": 1, "job": 2}, Decimal128("1.5"), Code("f()"), float("nan"), None]
)
def test_a_job_may_have_any_id_of_its_own(key: Any) -> None:
    decoder = Decoder(PROFILES["cts"], JobIdCache(lambda keys: [(each, "job-2") for each in keys]))

    events = decoder.decode(
        [
            inserted(1, element(0), key=key, job_id="job-1"),
            pushed(2, 1, key=deepcopy(key)),
            pushed(3, 1, key={"other": key}),
        ]
    )

    assert [one.items[0].job_id for one in events] == ["job-1", "job-1", "job-2"]


def test_the_ids_of_a_batch_are_looked_up_at_once_and_inserts_remembered() -> None:
    asked = []

    def lookup(keys: list[Any]) -> list[tuple[Any, Any]]:
        asked.append(sorted(keys))
        return [(key, f"job-{key}") for key in reversed(keys)]

    decoder = Decoder(PROFILES["cts"], JobIdCache(lookup))
    found = decoder.decode(
        [
            pushed(1, 1, key="a"),
            inserted(2, element(0), key="b", job_id="job-b"),
            pushed(3, 1, key="b"),
            pushed(4, 1, key="c"),
            pushed(5, 2, key="a"),
        ]
    )

    assert [one.items[0].job_id for one in found] == ["job-a", "job-b", "job-b", "job-c", "job-a"]
    assert asked == [["a", "c"]]


def test_a_sharded_collection_tells_the_id_in_every_event() -> None:
    decoder = Decoder(PROFILES["cts"], JobIdCache(lambda _: pytest.fail("nothing to look up")))

    (found,) = decoder.decode([pushed(1, 1) | {"j": "job-7"}])

    assert found.items[0].job_id == "job-7"


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
def test_what_is_no_write_to_a_job_is_skipped_and_said(
    operation: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw = shaped(1, operation)
    del raw["k"]

    with caplog.at_level(logging.WARNING):
        (found,) = decoded(raw)

    assert (found.items, found.skipped, found.position) == ((), reason, at(1))
    assert len(caplog.records) == 1


def test_the_position_is_the_events_own_token_whole() -> None:
    raw = pushed(7, 1)
    raw["_id"]["_typeBits"] = b"\x80\x40"

    found = position_of_token(raw["_id"])

    assert decoded(raw)[0].position == found
    assert (found.token, found.type_bits) == (token(7), "8040")
    assert found.cluster_time == ClusterTime(BASE + 7, 1)


def test_the_commit_is_timed_by_the_servers_wall_clock_where_it_tells_it() -> None:
    raw = pushed(1, 1)
    assert decoded(raw)[0].committed == (NOON + timedelta(seconds=1)).timestamp()

    del raw["w"]
    assert decoded(raw)[0].committed is None


def test_a_profile_without_history_gives_the_latest_state() -> None:
    key = ObjectId("67c700000000000000000001")
    raw = shaped(1, "update", key, s="running", u=1741111111.1239)

    found = item(raw, profile="ee2")

    time = datetime(2025, 3, 4, 17, 58, 31, 123_000, tzinfo=timezone.utc)
    assert found == Transition(
        str(key),
        "running",
        time.isoformat(),
        made_trans_id(str(key), time.isoformat(), "running"),
        None,
    )


@pytest.mark.parametrize("useless", [..., None, "soon", True, 1e300, float("nan")])
def test_without_a_usable_time_of_its_own_the_commit_is_the_time(useless: object) -> None:
    raw = shaped(1, "insert", s="created", u=useless)
    if useless is ...:
        del raw["u"]

    assert item(raw, profile="ee2").time == (NOON + timedelta(seconds=1)).isoformat()
    del raw["w"]
    assert (
        item(raw, profile="ee2").time == datetime.fromtimestamp(BASE + 1, timezone.utc).isoformat()
    )


def test_a_profile_without_history_skips_what_has_no_state() -> None:
    (found,) = decoded(shaped(1, "replace"), profile="ee2")

    assert (found.items, found.skipped) == ((), "no_transition")


def test_a_profile_may_name_everything_otherwise() -> None:
    profile = Profile("jobs", "id", "status", "log", None, "to", "when", "uid")
    raw = shaped(
        1,
        "update",
        t=[
            {"k": "log.2", "s": "x", "d": NAIVE_NOON, "i": "u"},
            {"k": "log.0.to", "v": "y"},
            {"k": "log.0.uid", "v": "v"},
        ],
    )

    (found,) = Decoder(profile, JobIdCache(lambda keys: [(key, "job-0") for key in keys])).decode(
        [raw]
    )

    assert [(one.state, one.trans_id, one.sequence) for one in found.items] == [
        ("y", "v", 0),
        ("x", "u", 2),
    ]
