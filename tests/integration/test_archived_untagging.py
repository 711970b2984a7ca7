"""Tags of recovered jobs are removed in the array to which the service moved them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from pymongo import MongoClient

from bridge.model.profile import PROFILES
from bridge.mongo import transition_tags
from bridge.mongo.decoder import OPTIONS
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.job_tags import JobTags
from bridge.mongo.tag_queries import update_tags
from bridge.mongo.transition_tags import TransitionTags
from tests.integration.test_sweep_index import Jobs, create_indexes
from tests.support.archived_jobs import BEFORE, NOW, RECOVER, Document, element, job, unsent
from tests.support.servers.mongo import MongoDeployment

CTS = PROFILES["cts"]
TAG = "to_notify"


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[Jobs]:
    with MongoClient[Document](mongo.uri) as client:
        jobs = client[database].get_collection("jobs", codec_options=OPTIONS)
        jobs.create_index("id", unique=True)
        yield jobs
        client.drop_database(database)


@pytest.mark.parametrize("trans_id", ["", None])
def test_a_transition_that_moved_is_untagged(jobs: Jobs, trans_id: str | None) -> None:
    """The service recovered its job between the message and the removal of the tag."""
    history = [element("created", 900, trans_id), element("error", 800, trans_id)]
    jobs.insert_many([job("a", None, *history), job("b", None, *history)])
    tags = TransitionTags(jobs, CTS, "notif_sent")
    sent = [item for items in tags.pending(BEFORE) for item in items]
    jobs.update_one({"id": "a"}, RECOVER)

    tags.clear(sent)

    assert unsent(jobs.find_one({"id": "a"})) == ["again"]
    assert unsent(jobs.find_one({"id": "b"})) == []


def test_a_job_recovered_meanwhile_is_untagged(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after the write to the first array: its other transition was not sent."""
    jobs.insert_one(job("a", None, element("created", 900), element("error", 800)))
    tags = TransitionTags(jobs, CTS, "notif_sent")
    (sent,) = tags.pending(BEFORE)
    writes = []

    def moving(*arguments: Any) -> int:
        writes.append(update_tags(*arguments))
        jobs.update_one({"id": "a"}, RECOVER)
        return writes[-1]

    monkeypatch.setattr(transition_tags, "update_tags", moving)
    tags.clear(sent[1:])

    assert writes == [1]
    assert unsent(jobs.find_one()) == ["created 900", "again"]


def test_untagging_writes_once_by_the_job_id(jobs: Jobs) -> None:
    """Unless the service moved a transition, as many operations as transitions."""
    history = [element("created", 900), element("error", 800, None)]
    jobs.insert_many(
        [job("a", None, *history), *(job(f"other-{n}", None, *history) for n in range(50))]
    )
    tags = TransitionTags(jobs, CTS, "notif_sent")
    create_indexes(jobs, tags)
    sent = next(items for items in tags.pending(BEFORE) if items[0].job_id == "a")
    before = opcounters(jobs)

    tags.clear(sent)

    assert opcounters(jobs) - before == 2
    for item in sent:
        for array in CTS.history_fields:
            plan = jobs.database.command(
                "explain", {"find": "jobs", "filter": tags._mark_sent(item, array)._filter}
            )["queryPlanner"]["winningPlan"]
            assert plan["inputStage"]["indexName"] == "id_1"


def opcounters(jobs: Jobs) -> int:
    counters = jobs.database.client.admin.command("serverStatus")["opcounters"]
    return int(counters["update"])


def test_a_reused_index_untags_no_other(jobs: Jobs) -> None:
    """Transitions without an identity are recognised by state and time."""
    jobs.insert_one(job("a", None, element("created", 900, None), element("error", 800, None)))
    tags = TransitionTags(jobs, CTS, "notif_sent")
    (sent,) = tags.pending(BEFORE)
    jobs.update_one(
        {"id": "a"},
        {
            "$set": {
                "transition_times": [element("error", 700, None), element("error", 800, "other")]
            }
        },
    )

    tags.clear(sent)

    assert unsent(jobs.find_one()) == ["error", "other"]


@pytest.mark.parametrize(
    "changed",
    [
        {"time": None},
        {"time": "yesterday"},
        {"time": DatetimeMS(10**16)},
        {"state": None},
        {"trans_id": "given"},
    ],
)
def test_a_dead_lettered_transition_is_untagged(jobs: Jobs, changed: Document) -> None:
    """It has no identity, or no state, or no time."""
    odd = element("error", 800, None) | {"time": None} | changed
    document = job("a", [odd], element("download_submitted", 700))
    jobs.insert_one(document)
    items = JobDocuments(CTS).history(jobs.find_one() or {}).items
    tags = TransitionTags(jobs, CTS, "notif_sent")

    tags.clear(items[:1])

    assert unsent(jobs.find_one()) == ["download_submitted 700"]


@pytest.mark.parametrize("archived", [False, True])
def test_equal_transitions_are_untagged_singly(jobs: Jobs, archived: bool) -> None:
    """They have no identity, so an equal one may still be in flight."""
    equal = [element(state, 800, None) for state in ("error", "a", "error")]
    after = element("b", 700, sent=True)
    jobs.insert_one(job("a", equal, after) if archived else job("a", None, *equal, after))
    tags = TransitionTags(jobs, CTS, "notif_sent")
    ((first, _, second),) = tags.pending(BEFORE)

    tags.clear([first])
    left = unsent(jobs.find_one())
    tags.clear([second])

    assert left == ["a", "error"]
    assert unsent(jobs.find_one()) == ["a"]


def test_copies_in_both_arrays_are_untagged(jobs: Jobs) -> None:
    """The second sweep finds the copy that the first write did not reach."""
    copy = element("error", 800, "same")
    jobs.insert_one(job("a", [copy], copy))
    tags = TransitionTags(jobs, CTS, "notif_sent")
    for _ in range(2):
        for items in [*tags.pending(BEFORE)]:
            tags.clear(items[:1])

    assert unsent(jobs.find_one()) == []


#: Changes of a job whose end of history was sent: with the states that the next sweep yields.
MOVES: dict[str, tuple[Any, list[str]]] = {
    "unchanged": ({"$set": {"admin_meta": 1}}, []),
    "recovered": (RECOVER, ["download_submitted"]),
    "the same state again": (
        {"$push": {"transition_times": element("error", 700)}},
        ["error"],
    ),
    "the same state and time again": (
        {"$push": {"transition_times": element("error", 800, "other")}},
        ["error"],
    ),
    "truncated": (
        {"$push": {"transition_times": {"$each": [], "$slice": -1}}},
        [],
    ),
    "archived, without a new transition": (
        [{"$set": {"trans_history": "$transition_times", "transition_times": []}}],
        [],
    ),
    "an element unset": (
        [{"$set": {"transition_times": {"$concatArrays": ["$transition_times", [None]]}}}],
        [],
    ),
}


@pytest.mark.parametrize("archive", [None, [element("old", 1000, sent=True)]])
@pytest.mark.parametrize("trans_id", ["", None])
@pytest.mark.parametrize(("change", "left"), MOVES.values(), ids=MOVES)
def test_a_tag_goes_with_the_end_of_history(
    jobs: Jobs, archive: list[Document] | None, trans_id: str | None, change: Any, left: list[str]
) -> None:
    """For jobs of both generations, with identities and without."""
    document = job("a", archive, element("created", 900, trans_id), element("error", 800, trans_id))
    jobs.insert_one(document | {TAG: True})
    tags = JobTags(jobs, CTS, TAG)
    (sent,) = tags.pending(BEFORE)
    jobs.update_one({"id": "a"}, change)

    tags.clear(sent)

    pending = [item.state for items in tags.pending(NOW.timestamp() + 1) for item in items]
    assert pending == left
    for items in tags.pending(NOW.timestamp() + 1):
        tags.clear(items)
    assert jobs.count_documents({TAG: True}) == 0


@pytest.mark.parametrize("time", [None, "yesterday", 7, DatetimeMS(10**16)])
def test_a_dead_lettered_job_is_untagged(jobs: Jobs, time: Any) -> None:
    """Its last transition has no usable time, and an identity that is not text."""
    last = element("error", 800) | {"time": time, "trans_id": 7}
    jobs.insert_one(job("a", [element("created", 900)], last) | {TAG: True, "_update_time": NOW})
    tags = JobTags(jobs, CTS, TAG)
    (sent,) = tags.pending(NOW.timestamp() + 1)

    tags.clear(sent)

    assert jobs.count_documents({TAG: True}) == 0


def test_states_may_contain_operators(jobs: Jobs) -> None:
    """In an expression, a text that starts with a dollar sign is a field otherwise."""
    jobs.insert_one(job("a", None, element("$state", 800, "$trans_id")) | {TAG: True})
    for tags in (JobTags(jobs, CTS, TAG), TransitionTags(jobs, CTS, "notif_sent")):
        (sent,) = tags.pending(BEFORE)
        tags.clear(sent)

        assert [*tags.pending(BEFORE)] == []


@pytest.mark.parametrize("history", [None, "created", {"0": "created"}])
def test_a_history_that_is_no_array_is_harmless(jobs: Jobs, history: Any) -> None:
    """The service replaced it after the message was sent."""
    jobs.insert_many([job(name, None, element("error", 800)) | {TAG: True} for name in "ab"])
    tags = JobTags(jobs, CTS, TAG)
    sent = [item for items in tags.pending(BEFORE) for item in items]
    jobs.update_one({"id": "a"}, {"$set": {"transition_times": history, "trans_history": history}})

    tags.clear(sent)

    assert [document["id"] for document in jobs.find({TAG: True})] == ["a"]
