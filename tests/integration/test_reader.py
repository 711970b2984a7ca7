"""The reader requests the next answer at once in a backlog, and after a pause otherwise."""

from __future__ import annotations

import pytest

from bridge.demo.job_service.workload import new_job
from bridge.mongo import change_stream
from bridge.mongo.change_stream_cursor import BATCH_SIZE, ChangeStreamCursor, Reply
from tests.support.job_writer import now
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest

#: Longer than any test, so that a reader which returns has not waited.
FOREVER_SECONDS = 600.0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each time the reader asks; after a small answer it waits for ever."""
    asked: list[int] = []
    more = ChangeStreamCursor.more

    def counted(cursor: ChangeStreamCursor, await_ms: int, batch_size: int) -> Reply:
        asked.append(await_ms)
        return more(cursor, await_ms, batch_size)

    monkeypatch.setattr(ChangeStreamCursor, "more", counted)
    monkeypatch.setattr(change_stream, "_HEAD_START_SECONDS", FOREVER_SECONDS)
    return asked


def test_after_a_small_answer_the_reader_pauses(
    mongo: MongoDeployment, database: str, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop gets a head start, which ends with the stream."""
    monkeypatch.setattr(
        change_stream, "AWAIT_MS", 10_000
    )  # the answer is the one with the job, however slow this machine
    with SourceUnderTest(mongo.uri, database) as jobs, jobs.reading() as reader:
        jobs.insert()
        reader.read_transitions(1)

    assert not reader.stream._reader.is_alive()
    assert len(asked) == 1


def test_a_backlog_is_read_without_pauses(
    mongo: MongoDeployment, database: str, asked: list[int]
) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs:
        start = jobs.end_position()
        jobs.collection.insert_many([new_job("kbase", now(), []) for _ in range(3 * BATCH_SIZE)])

        with jobs.reading(start) as reader:
            reader.read_transitions(3 * BATCH_SIZE)

    assert len(asked) >= 2
