"""Job ids: remembered, forgotten, and looked up in a document that contains the transition."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from bson import Code, Decimal128, ObjectId

from bridge.model.transition import Poison, Transition
from bridge.mongo.known_jobs import KnownJobs
from tests.support.decoding import (
    FakeLookup,
    decoder,
    decoder_after_insert,
    document,
    item,
    items_of,
    sequence_of,
    updated,
)
from tests.support.factories import Raw, element, inserted, pushed, shaped


def looked_up(job: Raw, key: Any = "key") -> FakeLookup:
    return FakeLookup([(key, job)])


def test_an_unknown_job_is_looked_up() -> None:
    lookup = looked_up(document("job-7", element(0), element(1), element(2)))

    transition = item(pushed(1, 1), lookup=lookup)

    assert isinstance(transition, Transition)
    assert (transition.job_id, transition.sequence) == ("job-7", sequence_of(1))
    assert (lookup.lookups, lookup.times) == (1, [])


def test_an_archived_transition_proves_the_job() -> None:
    """The job was started again before the look-up."""
    lookup = looked_up(document("job-7", element(9), archive=[element(0), element(1)]))

    assert item(pushed(1, 1), lookup=lookup).job_id == "job-7"


def test_a_looked_up_job_is_known() -> None:
    lookup = looked_up(document("job-7", element(0), element(1)))
    one_job = decoder(lookup)

    items_of(one_job, pushed(1, 1))
    items = items_of(one_job, pushed(2, 2), pushed(3, 3))

    assert [item.job_id for item in items] == ["job-7", "job-7"]
    assert [item.sequence for item in items] == [sequence_of(2), sequence_of(3)]
    assert lookup.lookups == 1


@pytest.mark.parametrize("field", [{"i": "other"}, {"s": "other"}, {"d": None}])
def test_another_jobs_document_is_not_accepted(field: Raw) -> None:
    """Its ``_id`` was used again: the transition belongs to a job that is gone."""
    lookup = looked_up(document("job-9", element(0), element(1) | field))

    poison = item(pushed(1, 1), lookup=lookup)

    assert isinstance(poison, Poison)
    assert "no longer contains the transition; document _id key" in poison.reason
    assert (poison.job_id, poison.state, poison.trans_id) == ("", "download_submitted", "t-1")


def test_the_document_of_the_events_time_counts() -> None:
    lookup = looked_up(document("job-9", element(8)))
    lookup.before["key"] = document("job-7", element(0))

    assert item(pushed(1, 1), lookup=lookup).job_id == "job-7"


def test_a_job_deleted_before_look_up_is_poison() -> None:
    poison = item(pushed(1, 1), lookup=FakeLookup())

    assert isinstance(poison, Poison)
    assert "deleted before its id could be looked up" in poison.reason
    assert (poison.job_id, poison.trans_id) == ("", "t-1")


@pytest.mark.parametrize(
    ("job_id", "reason"),
    [
        (None, "the job id is missing"),
        (5, "the job id is int, not text"),
        (ObjectId(), "the job id is ObjectId, not text"),
    ],
)
def test_a_job_without_a_usable_id_is_poison(job_id: object, reason: str) -> None:
    lookup = looked_up(document(job_id, element(0), element(1)))
    for poison in (
        item(inserted(1, element(0), job_id=job_id)),
        item(pushed(1, 1), lookup=lookup),
    ):
        assert isinstance(poison, Poison)
        assert poison.reason.startswith(reason)
        assert poison.state in ("created", "download_submitted")


def test_a_missing_id_is_never_remembered() -> None:
    lookup = looked_up(document(None, element(0), element(1), element(2)))
    one_job = decoder(lookup)

    first, second = (items_of(one_job, pushed(n, n))[0] for n in (1, 2))
    lookup.add("key", document("job-7", *(element(n) for n in range(4))))
    (third,) = items_of(one_job, pushed(3, 3))

    assert isinstance(first, Poison) and isinstance(second, Poison)
    assert isinstance(third, Transition) and third.job_id == "job-7"
    assert lookup.lookups == 3


def test_a_changed_id_is_learned() -> None:
    lookup = looked_up(document("job-new", element(0), element(1), element(2)))
    one_job = decoder_after_insert(element(0), lookup=lookup)

    items = items_of(
        one_job, pushed(1, 1), pushed(2, 2) | {"n": "job-new"}, pushed(3, 3, element(3))
    )

    assert [item.job_id for item in items] == ["job-0", "job-new", "job-new"]


def test_an_id_changed_alone_is_learned() -> None:
    lookup = looked_up(document("job-new", element(0), element(1)))
    one_job = decoder_after_insert(element(0), lookup=lookup)

    items = items_of(one_job, updated(1, n="job-new"), pushed(2, 1))

    assert [item.job_id for item in items] == ["job-new"]


def test_an_id_changed_twice_is_the_events() -> None:
    lookup = looked_up(document("job-newest", element(0), element(1)))
    one_job = decoder_after_insert(element(0), lookup=lookup)

    assert items_of(one_job, pushed(1, 1) | {"n": "job-new"})[0].job_id == "job-new"


@pytest.mark.parametrize("operation", ["delete", "drop", "rename", "dropDatabase", "invalidate"])
def test_a_removed_document_is_forgotten(operation: str) -> None:
    lookup = looked_up(document("job-9", element(0), element(1)))
    one_job = decoder_after_insert(element(0), lookup=lookup)

    items = items_of(one_job, shaped(1, operation), pushed(2, 1))

    assert [item.job_id for item in items] == ["job-9"]


@pytest.mark.parametrize(
    "key", [{"site": 1, "job": 2}, Decimal128("1.5"), Code("f()"), float("nan"), None]
)
def test_documents_may_have_any_key(key: Any) -> None:
    other = {"other": key}
    lookup = looked_up(document("job-2", element(0), element(1), key=other), other)

    events = decoder(lookup).decode(
        [
            inserted(1, element(0), key=key, job_id="job-1"),
            pushed(2, 1, key=deepcopy(key)),
            pushed(3, 1, key=deepcopy(other)),
        ]
    )

    assert [event.items[0].job_id for event in events] == ["job-1", "job-1", "job-2"]


def test_jobs_of_a_batch_are_looked_up_together() -> None:
    history = [element(n) for n in range(3)]
    lookup = FakeLookup([(key, document(f"job-{key}", *history, key=key)) for key in "ac"])

    events = decoder(lookup).decode(
        [
            pushed(1, 1, key="a"),
            inserted(2, element(0), key="b", job_id="job-b"),
            pushed(4, 1, key="c"),
            pushed(5, 2, key="a"),
        ]
    )

    assert [event.items[0].job_id for event in events] == ["job-a", "job-b", "job-c", "job-a"]
    assert lookup.queries == [["a", "c"]]


def test_a_sharded_collection_contains_the_id() -> None:
    (event,) = decoder().decode([pushed(1, 1) | {"j": "job-7"}])

    assert event.items[0].job_id == "job-7"


def test_a_new_stream_keeps_only_ids() -> None:
    """It may deliver an event again, whose job has had more transitions since."""
    known = KnownJobs()
    decoder(known=known).decode([inserted(1, element(0)), pushed(2, 1), pushed(3, 2)])
    lookup = looked_up(document("job-0", element(0), element(1), element(2)))

    (again,) = items_of(decoder(lookup, known=known), pushed(2, 1))

    assert (again.job_id, again.sequence) == ("job-0", sequence_of(1))


def test_a_new_job_needs_no_look_up() -> None:
    lookup = FakeLookup()

    items_of(decoder(lookup), inserted(1, element(0)), pushed(2, 1), pushed(3, 2))

    assert (lookup.lookups, lookup.times) == (0, [])
