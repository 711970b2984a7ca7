"""Tagged jobs are found with or without an index, whatever their time, and then untagged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from pymongo import MongoClient

from bridge.errors import Misconfigured
from bridge.mongo.decoder import OPTIONS
from bridge.mongo.job_tags import JobTags
from bridge.mongo.tag_sweep import TagSweep
from bridge.mongo.transition_tags import TransitionTags
from tests.integration.test_sweep_index import (
    BEFORE,
    CTS,
    NOW,
    TAG,
    Document,
    Jobs,
    Tags,
    create_indexes,
    job,
    names_of,
    tags_of,
)
from tests.support.servers.mongo import MongoDeployment


@pytest.fixture
def few(mongo: MongoDeployment, database: str) -> Iterator[Jobs]:
    """An empty collection that does not exist yet."""
    with MongoClient[Document](mongo.uri) as client:
        yield client[database].get_collection("jobs", codec_options=OPTIONS)
        client.drop_database(database)


@pytest.mark.parametrize(
    "time", [None, "yesterday", 7, 7.5, True, Int64(7), {"at": 7}, [], "missing"]
)
def test_the_index_does_not_change_the_result(few: Jobs, time: Any) -> None:
    def history(number: int, ago: float, **changed: Any) -> Document:
        element = {
            "state": "created",
            "time": NOW - timedelta(seconds=ago),
            "trans_id": f"{number}",
            "notif_sent": False,
        } | changed
        return {name: value for name, value in element.items() if value != "missing"}

    few.insert_many(
        [
            {"id": "odd", "transition_times": [history(0, 600, time=time)]},
            {
                "id": "beside an old one",
                "transition_times": [history(1, 600, time=time), history(2, 600)],
            },
            {
                "id": "beside a young one",
                "transition_times": [history(3, 600, time=time), history(4, 10)],
            },
            {
                "id": "beside one that was sent",
                "transition_times": [history(5, 600, time=time), history(6, 600, notif_sent=True)],
            },
        ]
    )
    tags = tags_of(few, TransitionTags)

    without = list(tags.pending(BEFORE))
    create_indexes(few, tags)

    assert list(tags.pending(BEFORE)) == without
    assert [item.trans_id for items in without for item in items] == ["2"]
    assert TagSweep(few, tags).count(BEFORE) == 1


def test_all_copies_of_a_transition_are_untagged(
    few: Jobs,
) -> None:
    """Another state with the same identity stays tagged."""
    states = ("created", "created", "running")
    history = [
        {"state": state, "time": NOW, "trans_id": "same", "notif_sent": False} for state in states
    ]
    few.insert_one({"id": "job-1", "transition_times": history})
    tags = TransitionTags(few, CTS, "notif_sent")
    (items,) = tags.pending(NOW.timestamp() + 1)

    tags.clear(items[:1])

    assert [item.state for items in tags.pending(NOW.timestamp() + 1) for item in items] == [
        "running"
    ]


@pytest.mark.parametrize(
    "states", [("running",), ("running", "created")], ids=["another state", "that state again"]
)
def test_a_job_that_has_moved_stays_tagged(states: tuple[str, ...], few: Jobs) -> None:
    """Otherwise only the stream could deliver its latest state."""

    def element(state: str, number: int) -> Document:
        return {
            "state": state,
            "time": NOW + timedelta(seconds=number),
            "trans_id": f"{number}",
            "notif_sent": False,
        }

    few.insert_one(
        {
            "id": "job-1",
            "state": "created",
            "transition_times": [element("created", 0)],
            "_update_time": NOW,
            TAG: True,
        }
    )
    tags = JobTags(few, CTS, TAG)
    (pending,) = tags.pending(NOW.timestamp() + 60)
    for number, state in enumerate(states, 1):
        few.update_one(
            {},
            {
                "$push": {"transition_times": element(state, number)},
                "$set": {"state": state, TAG: True},
            },
        )

    tags.clear(pending)

    (left,) = tags.pending(NOW.timestamp() + 60)
    assert [item.state for item in left] == [states[-1]]
    tags.clear(left)
    assert few.count_documents({TAG: True}) == 0


def test_a_contradictory_job_is_named_until_sent(
    few: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    """Its state and its history disagree."""
    few.insert_one(job(1, ago=600, tagged=True) | {"state": "error"})
    tags = JobTags(few, CTS, TAG)
    pending = [items for _ in range(2) for items in tags.pending(BEFORE)]
    assert len(pending) == 2  # the first may have been in flight when the run failed

    tags.clear(pending[-1])

    assert list(tags.pending(BEFORE)) == []
    assert [record.getMessage() for record in caplog.records] == [
        "job job-1 is in state error, but its history ends with complete: the latter is sent once, "
        "and the tag stays; correct the state or the history"
    ]
    few.update_one({}, {"$set": {"state": "complete"}})
    tags.clear(*tags.pending(BEFORE))
    assert few.count_documents({TAG: True}) == 0


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        True,
        {"at": 7},
        [],
        ["yesterday"],
        float("nan"),
        Regex("x"),
        Timestamp(7, 7),
        ObjectId(),
        b"x",
        MaxKey(),
        MinKey(),
        None,
        7,
        "missing",
    ],
)
def test_a_tagged_job_without_time_is_old(few: Jobs, time: Any, index: bool) -> None:
    whole = job(1, ago=10, tagged=True) | {"_update_time": time}
    few.insert_many(
        [
            {name: value for name, value in whole.items() if value != "missing"},
            job(2, ago=10, tagged=True),
        ]
    )
    tags = tags_of(few, JobTags)
    if index:
        create_indexes(few, tags)

    assert [item.job_id for items in tags.pending(BEFORE) for item in items] == ["job-1"]


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize(
    ("kind", "other", "other_tag"),
    [
        (TransitionTags, JobTags, TAG),
        (JobTags, TransitionTags, "notif_sent"),
        (TransitionTags, TransitionTags, "was_sent"),
        (JobTags, JobTags, "a_tag"),
    ],
)
def test_an_index_of_other_tags_does_not_count(
    few: Jobs, kind: type[Tags], other: type[Tags], other_tag: str, index: bool
) -> None:
    few.insert_one(job(1, ago=600, tagged=True))
    create_indexes(few, tags_of(few, other, other_tag))
    tags = tags_of(few, kind)
    sweep = TagSweep(few, tags)
    assert sweep.missing_indexes() == names_of(tags)
    if index:
        create_indexes(few, tags)
        assert sweep.missing_indexes() == []

    assert sweep.count(BEFORE) == len(list(tags.pending(BEFORE))) == 1


def test_each_different_index_has_its_own_name(few: Jobs) -> None:
    names = [
        names_of(tags_of(few, JobTags, tag, replace(CTS, updated_field=time)))
        for tag, time in (("a", "b_c"), ("a_b", "c"), ("a", "c"))
    ] + [
        names_of(
            tags_of(
                few,
                TransitionTags,
                tag,
                replace(CTS, transitions_field=field, transition_time=time, archive_field=None),
            )
        )
        for tag, field, time in (("a", "b", "c"), ("b", "b", "c"), ("a", "c", "c"), ("a", "b", "d"))
    ]

    assert len({name for (name,) in names}) == len(names)


@pytest.mark.parametrize("kind", [TransitionTags, JobTags])
def test_a_missing_collection_is_created_with_its_index(few: Jobs, kind: type[Tags]) -> None:
    tags = tags_of(few, kind)
    sweep = TagSweep(few, tags)
    assert sweep.missing_indexes() == names_of(tags)

    create_indexes(few, tags)

    assert sweep.missing_indexes() == []
    assert {*names_of(tags)} <= few.index_information().keys()


def test_an_equal_index_of_another_name_is_named(few: Jobs) -> None:
    tags = tags_of(few, JobTags)
    few.create_index(
        [(TAG, 1), ("_update_time", 1)], name="mine", partialFilterExpression={TAG: True}
    )

    with pytest.raises(Misconfigured, match=r"under another name: .*mine"):
        create_indexes(few, tags)
