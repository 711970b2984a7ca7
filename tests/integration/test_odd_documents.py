"""Deleted, invalid and huge documents do not stop the stream."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.model.transition import Poison
from bridge.mongo.job_lookup import JobLookup
from tests.support.job_writer import now, transition
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest, identity


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def test_a_delete_sends_nothing_and_is_counted(
    jobs: SourceUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    with jobs.reading() as reader, caplog.at_level(logging.WARNING):
        job_id = jobs.insert()
        jobs.collection.delete_one({"id": job_id})
        last = jobs.insert()
        reader.read_transitions(2)

    assert [event.skipped for event in reader.events] == ["", "delete", ""]
    assert reader.identities[1:] == jobs.history(last)
    assert "a job was deleted" in caplog.text


def test_a_deleted_job_is_read_as_it_was(jobs: SourceUnderTest) -> None:
    job_id = jobs.insert()
    start = jobs.end_position()
    jobs.advance(job_id, "download_submitted")
    expected = jobs.history(job_id)[1:]
    jobs.collection.delete_one({"id": job_id})

    with jobs.reading(start) as reader:
        assert reader.read_transitions(1) == expected


def test_a_job_deleted_before_lookup_is_dead_lettered(
    jobs: SourceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB no longer has the document of that time."""
    monkeypatch.setattr(JobLookup, "at", lambda *_: None)
    job_id = jobs.insert()
    start = jobs.end_position()
    jobs.advance(job_id, "download_submitted")
    jobs.collection.delete_one({"id": job_id})

    with jobs.reading(start) as reader:
        reader.read_events(2)

    (item,) = reader.events[0].items
    assert isinstance(item, Poison)
    assert "deleted before" in item.reason and item.state == "download_submitted"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "the job id is missing"),
        ({"id": 7}, "the job id is int"),
        ({"transition_times": [{"state": "created", "time": "soon"}]}, "the time is str"),
        ({"transition_times": [{"state": 1, "time": now()}]}, "the state is int"),
        ({"transition_times": ["created"]}, "the state is missing"),
    ],
)
def test_an_odd_document_does_not_stop_the_stream(
    jobs: SourceUnderTest, change: dict[str, Any], reason: str
) -> None:
    with jobs.reading() as reader:
        jobs.insert(**change)
        last = jobs.insert()
        reader.read_events(2)

    poison, good = reader.items
    assert isinstance(poison, Poison) and poison.reason.startswith(reason)
    assert identity(good) == jobs.history(last)[0]


def test_an_almost_oversized_document_is_read_without_inputs(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        job_id = jobs.insert(job_input={"params": "x" * 14_000_000})
        jobs.advance(job_id, "complete")
        found = reader.read_transitions(2)

    assert found == jobs.history(job_id)


def test_a_history_not_in_an_array_is_dead(jobs: SourceUnderTest) -> None:
    """As the stream does; a recovery would otherwise pass the job in silence."""
    archived = transition("created")
    jobs.add(id="a", transition_times={"0": archived})
    jobs.add(id="b", transition_times=5, trans_history=[archived])
    jobs.add(id="c", transition_times=[], trans_history="text")

    found = {job.job_id: job.items for job in jobs.source.history.jobs()}

    assert [(item.state, item.trans_id) for item in found["b"][1:]] == [
        ("created", archived["trans_id"])
    ]
    reasons = [items[0].reason for items in found.values() if isinstance(items[0], Poison)]
    assert [reason.partition(";")[0] for reason in reasons] == [
        "its history is not an array: transition_times is dict",
        "its history is not an array: transition_times is int",
        "its history is not an array: trans_history is str",
    ]
