"""Tags of recovered jobs are found in the archive, and sent in the job's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pymongo import MongoClient

from bridge.model.profile import PROFILES
from bridge.mongo.decoder import OPTIONS
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.tag_queries import Items
from bridge.mongo.tag_sweep import TagSweep
from bridge.mongo.transition_tags import TransitionTags
from tests.integration.test_sweep_index import Finds, Jobs, create_indexes, explained, names_of
from tests.support.archived_jobs import BEFORE, Document, element, job, unsent
from tests.support.servers.mongo import MongoDeployment

CTS = PROFILES["cts"]
FINDS = Finds()
#: Jobs of both generations: each with the trans_ids that a sweep sends.
SWEPT = {
    "old": (
        job("old", None, element("created", 900), element("error", 800)),
        ["created 900", "error 800"],
    ),
    "recovered": (
        job(
            "recovered",
            [element("created", 900, sent=True), element("error", 800)],
            element("download_submitted", 700),
            element("complete", 10),
        ),
        ["error 800", "download_submitted 700"],
    ),
    "unsent in the archive only": (
        job("unsent in the archive only", [element("a", 900)], element("b", 800, sent=True)),
        ["a 900"],
    ),
    "sent in the archive": (
        job("sent in the archive", [element("a", 900, sent=True)], element("b", 800)),
        ["b 800"],
    ),
    "young in the archive": (
        job("young in the archive", [element("a", 10)], element("b", 800)),
        [],
    ),
    "without time in the archive": (
        job("without time in the archive", [element("a", 10) | {"time": None}], element("b", 800)),
        ["b 800"],
    ),
    "twice recovered": (
        job("twice recovered", [element("a", 900), element("a", 850)], element("a", 800)),
        ["a 900", "a 850", "a 800"],
    ),
}


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[Jobs]:
    with MongoClient[Document](mongo.uri, event_listeners=[FINDS]) as client:
        jobs = client[database].get_collection("jobs", codec_options=OPTIONS)
        jobs.create_index("id", unique=True)
        yield jobs
        client.drop_database(database)


def trans_ids(items: Items) -> list[str]:
    return [item.trans_id for item in items]


@pytest.mark.parametrize("indexed", [[], [0], [1], [0, 1]])
def test_archived_tags_are_swept_in_order(jobs: Jobs, indexed: list[int]) -> None:
    """With any of the indexes; each job is yielded once, with all that is old."""
    jobs.insert_many([document for document, _ in SWEPT.values()])
    tags = TransitionTags(jobs, CTS, "notif_sent")
    names = names_of(tags)
    if indexed:
        TagSweep(jobs, tags).create_indexes([names[number] for number in indexed])

    pending = [*tags.pending(BEFORE)]

    found = {items[0].job_id: trans_ids(items) for items in pending}
    assert found == {name: wanted for name, (_, wanted) in SWEPT.items() if wanted}
    assert len(pending) == len(found)
    sweep = TagSweep(jobs, tags)
    assert sweep.missing_indexes() == [
        name for number, name in enumerate(names) if number not in indexed
    ]
    assert sweep.count(BEFORE) == len(found) + 1  # its oldest transition is too young to be sent


def test_sent_tags_are_removed_in_both_arrays(jobs: Jobs) -> None:
    jobs.insert_many([document for document, _ in SWEPT.values()])
    tags = TransitionTags(jobs, CTS, "notif_sent")

    tags.clear([item for items in tags.pending(BEFORE) for item in items])

    left = {document["id"]: unsent(document) for document in jobs.find() if unsent(document)}
    assert left == {
        "recovered": ["complete 10"],
        "young in the archive": ["a 10", "b 800"],
        "without time in the archive": ["a 10"],
    }
    assert [*tags.pending(BEFORE)] == []


def test_an_archive_needs_an_index_of_its_own(jobs: Jobs) -> None:
    """The index of the current transitions keeps its name."""
    both = TransitionTags(jobs, CTS, "notif_sent")
    current = TransitionTags(jobs, replace(CTS, archive_field=None), "notif_sent")

    assert names_of(current) == [
        "job_bridge_sweep-transition_times.notif_sent-transition_times.time"
    ]
    assert names_of(both) == [
        "job_bridge_sweep-trans_history.notif_sent-trans_history.time",
        *names_of(current),
    ]
    create_indexes(jobs, current)
    assert TagSweep(jobs, current).missing_indexes() == []
    assert TagSweep(jobs, both).missing_indexes() == names_of(both)[:1]


def test_a_sweep_of_archives_examines_what_it_returns(jobs: Jobs) -> None:
    tags = TransitionTags(jobs, CTS, "notif_sent")
    create_indexes(jobs, tags)
    sent, old = element("a", 900, sent=True), element("a", 900)
    young = element("b", 10)
    jobs.insert_many(
        [
            *(job(f"sent-{n}", [sent], element("b", 800, sent=True)) for n in range(300)),
            *(job(f"young-{n}", [sent, young], young) for n in range(300)),
            *(job(f"archive-{n}", [old], young) for n in range(50)),
            *(job(f"current-{n}", [sent], old) for n in range(50)),
        ]
    )
    FINDS.commands.clear()

    assert len([*tags.pending(BEFORE)]) == 100

    stats = explained(
        jobs, *(command for command in FINDS.commands if "_id" not in command["filter"])
    )
    assert stats["nReturned"] == stats["totalDocsExamined"] == 100


def test_earlier_transitions_include_the_archive(jobs: Jobs) -> None:
    documents = [
        job(
            "recovered",
            [element("created", 900, sent=True), element("error", 800)],
            element("download_submitted", 700),
            element("complete", 600),
            element("after", 500),
        ),
        job("old", None, element("created", 900), element("complete", 600)),
        job("new", None, element("created", 900)),
    ]
    jobs.insert_many(documents)
    tags = TransitionTags(jobs, CTS, "notif_sent")
    read = {document["id"]: JobDocuments(CTS).history(document).items for document in jobs.find()}

    earlier = tags.earlier([read["recovered"][3], read["old"][1], read["new"][0]])

    assert {job_id: trans_ids(items) for job_id, items in earlier.items()} == {
        "recovered": ["error 800", "download_submitted 700"],
        "old": ["created 900"],
    }


@pytest.mark.parametrize("trans_id", ["", None])
def test_earlier_ones_exclude_itself_after_a_removal(jobs: Jobs, trans_id: str | None) -> None:
    """Transitions of one time: the sequence of the later one changes with the first removed."""
    history = [element(state, 800, trans_id) for state in ("a", "b", "c")]
    jobs.insert_one(job("a", None, *history))
    tags = TransitionTags(jobs, CTS, "notif_sent")
    streamed = JobDocuments(CTS).history(jobs.find_one() or {}).items[-1]
    jobs.update_one({}, {"$pop": {"transition_times": -1}})

    (earlier,) = tags.earlier([streamed]).values()

    assert [item.state for item in earlier] == ["b"]


def test_earlier_ones_of_a_removed_transition(jobs: Jobs) -> None:
    history = [element("a", 800), element("b", 700), element("c", 600)]
    jobs.insert_one(job("a", None, *history))
    tags = TransitionTags(jobs, CTS, "notif_sent")
    streamed = JobDocuments(CTS).history(jobs.find_one() or {}).items[1]
    jobs.update_one({}, {"$pull": {"transition_times": {"state": "b"}}})

    (earlier,) = tags.earlier([streamed]).values()

    assert [item.state for item in earlier] == ["a"]
