"""The end of streams: dropped and renamed collections, and what follows them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.errors import Retryable
from bridge.mongo import change_stream
from bridge.mongo.change_stream_cursor import ParsedReply, parse_reply
from tests.support.killed_cursors import kill
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest, identity


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def drop(jobs: SourceUnderTest) -> None:
    jobs.collection.drop()


def rename(jobs: SourceUnderTest) -> None:
    jobs.collection.rename("former")


def drop_database(jobs: SourceUnderTest) -> None:
    jobs.client.drop_database(jobs.database.name)


@pytest.mark.parametrize("end", [drop, rename, drop_database])
def test_a_removed_collection_ends_the_stream(
    jobs: SourceUnderTest, end: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It continues with the next collection of the same name, after the end of the first."""
    with jobs.reading() as reader, caplog.at_level(logging.WARNING):
        first = jobs.insert_many(3)
        assert callable(end)
        end(jobs)
        second = jobs.insert_many(2)
        assert reader.read_transitions(5) == [*first, *second]
        ends = [event for event in reader.events if event.skipped == "collection"]
        assert reader.events == [*reader.events[:3], *ends, *reader.events[-2:]]

    with jobs.reading(ends[-1].position) as rest:
        assert rest.read_transitions(2) == second
    assert "the bridge resumes with the next collection" in caplog.text


def test_ten_drops_while_stopped_are_passed_at_once(jobs: SourceUnderTest) -> None:
    start = jobs.end_position()
    expected = []
    for number in range(10):
        expected += jobs.insert_many(2)
        jobs.collection.drop() if number % 2 else jobs.collection.rename(f"former-{number}")
    expected += jobs.insert_many(2)
    started = time.monotonic()

    with jobs.reading(start) as reader:
        assert reader.read_transitions(len(expected)) == expected
        positions = [batch.position for batch in reader.batches]
        assert positions == sorted(set(positions))

    assert time.monotonic() - started < 5
    assert not [thread for thread in threading.enumerate() if thread.name == "change-stream"]


def test_an_end_without_an_event_is_a_failure(
    jobs: SourceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would be opened without a pause for ever."""
    with jobs.reading() as reader:
        jobs.insert_many(1)
        reader.read_transitions(1)
        monkeypatch.setattr(change_stream, "parse_reply", without_cursor)
        jobs.database["elsewhere"].insert_one({})
        reader.read_past(reader.position)
        kill(jobs)

        assert type(reader.read_to_end()) is Retryable


def without_cursor(reply: Any) -> ParsedReply:
    return parse_reply(reply)._replace(cursor_id=0)


def test_every_position_around_a_drop_resumes_without_loss(jobs: SourceUnderTest) -> None:
    start = jobs.end_position()
    with jobs.reading(start) as reader:
        first = jobs.insert_many(2)
        jobs.collection.drop()
        second = jobs.insert_many(2)
        assert reader.read_transitions(4) == [*first, *second]
    positions = [
        start,
        *(event.position for event in reader.events),
        *(batch.position for batch in reader.batches),
    ]

    for position in positions:
        expected = [
            transition
            for event in reader.events
            if event.position > position
            for transition in map(identity, event.items)
        ]
        with jobs.reading(position) as rest:
            assert rest.read_transitions(len(expected)) == expected, position
