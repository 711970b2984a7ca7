"""``_id`` as the job id, of each type, and texts that are not UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.transition import Poison, Transition
from bridge.mongo.job_tags import JobTags
from bridge.mongo.transition_tags import TransitionTags
from tests.support.document_ids import BY_DOCUMENT_ID, UNUSABLE, USABLE, raw_document, raw_text
from tests.support.job_writer import Document, now, transition
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest, identity

ODD = tuple(map(raw_text, (b"a\xff", b"a\xfe", b"a\xef\xbf\xbd\xff")))


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    options = {name.replace(".", "__"): value for name, value in BY_DOCUMENT_ID.items()}
    with SourceUnderTest(mongo.uri, database, **options) as jobs:
        yield jobs


@pytest.fixture
def by_field(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    """Jobs with an id field of their own."""
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def job(document_id: Any, **changed: Any) -> Document:
    first = transition("created", time=now())
    return {
        "_id": document_id,
        "state": "created",
        "transition_times": [first],
        "_update_time": first["time"],
        "unsent": True,
        **changed,
    }


def advance(jobs: SourceUnderTest, document_id: Any) -> None:
    update = {"$push": {"transition_times": transition("complete", time=now())}}
    changed = jobs.collection.update_one(raw_document({"_id": document_id}), update)
    assert changed.modified_count == 1


def test_stream_and_history_use_the_same_text(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        for document_id in USABLE.values():
            jobs.collection.insert_one(job(document_id))
            advance(jobs, document_id)
        streamed = reader.read_transitions(2 * len(USABLE))

    assert [item.job_id for item in streamed] == [text for text in USABLE for _ in range(2)]
    histories = {
        text: [
            identity(item) for found in jobs.source.history.by_ids([text]) for item in found.items
        ]
        for text in USABLE
    }
    assert [item for items in histories.values() for item in items] == streamed


@pytest.mark.parametrize("text", USABLE)
def test_each_type_is_untagged(jobs: SourceUnderTest, text: str) -> None:
    jobs.collection.insert_many([job(USABLE[text]), job("other")])
    (history,) = jobs.source.history.by_ids([text])
    collection = jobs.source.history._collection

    TransitionTags(collection, jobs.profile, "notif_sent").clear(history.items)
    JobTags(collection, jobs.profile, "unsent").clear(history.items)

    (other,) = jobs.collection.find({"unsent": True})
    assert other["_id"] == "other" and not other["transition_times"][0]["notif_sent"]
    cleared = jobs.collection.find_one({"_id": USABLE[text]})
    assert cleared and cleared["transition_times"][0]["notif_sent"]


def test_equal_texts_mean_both_jobs(jobs: SourceUnderTest) -> None:
    jobs.collection.insert_many([job("5"), job(5), job("05")])

    assert [found.job_id for found in jobs.source.history.by_ids(["5"])] == ["5", "5"]


def test_a_job_of_the_same_text_restores_nothing(jobs: SourceUnderTest) -> None:
    """The older of two jobs is not taken for the delivered one from a backup."""
    old = now() - timedelta(hours=1)
    jobs.collection.insert_one(
        job("5", _update_time=old, transition_times=[transition("queued", time=old)])
    )
    jobs.collection.insert_one(job(5))
    (*_, newest) = jobs.source.history.jobs()
    (delivered,) = newest.items

    assert isinstance(delivered, Transition)
    assert jobs.source.history.why_older_than(delivered) == ""
    jobs.collection.delete_one({"_id": 5})
    assert "which the collection does not contain" in jobs.source.history.why_older_than(delivered)


def test_other_values_are_dead_lettered(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        jobs.collection.insert_many([job(document_id) for document_id in UNUSABLE.values()])
        jobs.collection.insert_one(job("good"))
        reader.read_events(len(UNUSABLE) + 1)

    *poisons, good = reader.items
    for poison, words in zip(poisons, UNUSABLE, strict=True):
        assert isinstance(poison, Poison) and words in poison.reason and not poison.job_id
    assert identity(good).job_id == "good"
    assert [found.job_id for found in jobs.source.history.jobs()].count("") == len(UNUSABLE)


def test_ids_not_in_utf8_stay_apart(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        for document_id in ODD:
            jobs.collection.insert_one(raw_document(job(document_id)))
            advance(jobs, document_id)
        reader.read_events(2 * len(ODD))

    reasons = [item.reason for item in reader.items if isinstance(item, Poison)]
    assert len(reasons) == 2 * len(ODD) and len(set(reasons)) == len(ODD)
    assert reasons[0] == r"the job id is not UTF-8: a\xff; document _id a\xff"
    assert list(jobs.source.history.by_ids(ODD)) == []
    assert [found.job_id for found in jobs.source.history.jobs()] == [""] * len(ODD)


@pytest.mark.parametrize(
    "document_ids",
    [ODD, [{"a": text} for text in ODD], [{text: [text]} for text in ODD]],
    ids=["text", "document", "name"],
)
def test_a_document_not_in_utf8_is_looked_up(
    by_field: SourceUnderTest, document_ids: list[Any]
) -> None:
    """Its job id is usable, so its transitions are sent."""
    names = [f"job-{number}" for number in range(len(document_ids))]
    for document_id, name in zip(document_ids, names, strict=True):
        by_field.collection.insert_one(raw_document(job(document_id, id=name)))
    start = by_field.end_position()
    for document_id in document_ids:
        advance(by_field, document_id)

    with by_field.reading(start) as reader:
        assert [item.job_id for item in reader.read_transitions(len(names))] == names
    assert by_field.source.lookup.lookups == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"id": ODD[0]}, "the job id is not UTF-8"),
        ({"transition_times": [transition(ODD[0], time=now())]}, "the state is not UTF-8"),
        (
            {"transition_times": [transition("created", time=now(), trans_id=ODD[0])]},
            "the trans_id is not UTF-8",
        ),
    ],
    ids=["id", "state", "trans_id"],
)
def test_other_texts_not_in_utf8_are_dead_lettered(
    by_field: SourceUnderTest, changed: Document, reason: str
) -> None:
    with by_field.reading() as reader:
        by_field.collection.insert_one(raw_document(job("key", **{"id": "job", **changed})))
        by_field.insert()
        reader.read_events(2)

    poison, _ = reader.items
    assert isinstance(poison, Poison) and poison.reason == f"{reason}; document _id key"
    assert r"a\xff" in poison[1:5]
