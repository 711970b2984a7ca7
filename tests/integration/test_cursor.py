"""A change stream's cursor: one session, and closed on the server, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from bridge.mongo.change_stream_cursor import BATCH_SIZE, ChangeStreamCursor, parse_reply
from tests.support.sent_commands import SentCommands
from tests.support.servers.mongo import MongoDeployment

Document = dict[str, Any]


class CursorScenario:
    """A collection with events, and a client of its own to read them with."""

    def __init__(self, uri: str, database: str) -> None:
        self.sent = SentCommands()
        self.client = MongoClient[Document](uri, event_listeners=[self.sent])
        self.jobs = self.client[database]["jobs"]
        self.others = MongoClient[Document](uri)
        """Read past a write of our own, and so past all earlier writes of others."""
        time: Timestamp = self.others[database].command({"insert": "jobs", "documents": [{}]})[
            "operationTime"
        ]
        self.stages: list[Document] = [
            {"$changeStream": {"startAtOperationTime": Timestamp(time.time, time.inc + 1)}}
        ]

    def write(self, count: int) -> list[Any]:
        return list(
            self.others[self.jobs.database.name]["jobs"]
            .insert_many([{} for _ in range(count)])
            .inserted_ids
        )

    def cursors(self) -> list[int]:
        """The idle cursors the server has for the collection."""
        stages: list[Document] = [
            {"$currentOp": {"idleCursors": True}},
            {"$match": {"ns": self.jobs.full_name, "type": "idleCursor"}},
        ]
        return [
            operation["cursor"]["cursorId"] for operation in self.others.admin.aggregate(stages)
        ]

    def close(self) -> None:
        self.client.close()
        self.others.close()


@pytest.fixture
def scenario(mongo: MongoDeployment, database: str) -> Iterator[CursorScenario]:
    scenario = CursorScenario(mongo.uri, database)
    yield scenario
    scenario.close()


def test_all_its_commands_are_of_one_session(scenario: CursorScenario) -> None:
    cursor = ChangeStreamCursor(scenario.jobs)
    cursor.open(scenario.stages)
    # Another operation between two of its own would get the session of an implicit one.
    with scenario.client.start_session() as session:
        scenario.jobs.find_one({}, session=session)
        cursor.more(1)
    cursor.close()

    sent = [
        command
        for command in scenario.sent.commands
        if next(iter(command)) in ("aggregate", "getMore", "killCursors")
    ]
    assert [next(iter(command)) for command in sent] == ["aggregate", "getMore", "killCursors"]
    assert len({bytes(command["lsid"]["id"]) for command in sent}) == 1


def test_events_come_once_and_in_order(scenario: CursorScenario) -> None:
    written = scenario.write(BATCH_SIZE * 2 + 10)
    cursor = ChangeStreamCursor(scenario.jobs)
    answers = [parse_reply(cursor.open(scenario.stages))]
    while sum(len(batch.events) for batch in answers) < len(written):
        answers.append(parse_reply(cursor.more(1000)))
    cursor.close()

    events = [event for answer in answers for event in answer.events]
    assert [event["documentKey"]["_id"] for event in events] == written
    assert [len(answer.events) for answer in answers] == [BATCH_SIZE, BATCH_SIZE, 10]
    for answer in answers:
        assert answer.token is not None
        assert answer.token["_data"] >= answer.events[-1]["_id"]["_data"]


def test_an_answer_comes_with_the_write(scenario: CursorScenario) -> None:
    """It does not wait for the end of the await time."""
    cursor = ChangeStreamCursor(scenario.jobs)
    answer = parse_reply(cursor.open(scenario.stages))
    assert answer.events == []
    writing = threading.Timer(0.2, scenario.write, [1])
    writing.start()

    answer = parse_reply(cursor.more(60_000))

    writing.join()
    assert len(answer.events) == 1
    cursor.close()


def test_a_closed_cursor_is_forgotten_by_the_server(scenario: CursorScenario) -> None:
    cursor = ChangeStreamCursor(scenario.jobs)
    cursor.open(scenario.stages)
    assert len(scenario.cursors()) == 1

    cursor.close()

    assert scenario.cursors() == []


def test_a_failed_cursor_is_not_killed(scenario: CursorScenario) -> None:
    cursor = ChangeStreamCursor(scenario.jobs)
    cursor.open(scenario.stages)
    scenario.others[scenario.jobs.database.name].command(
        "killCursors", "jobs", cursors=scenario.cursors()
    )

    with pytest.raises(OperationFailure) as caught:
        cursor.more(1)
    cursor.close()

    assert caught.value.code == 43
    assert next(iter(scenario.sent.commands[-1])) == "getMore"


def test_the_end_of_the_collection_ends_the_cursor(scenario: CursorScenario) -> None:
    cursor = ChangeStreamCursor(scenario.jobs)
    cursor.open(scenario.stages)
    scenario.others[scenario.jobs.database.name]["jobs"].drop()

    answer = parse_reply(cursor.more(60_000))
    while answer.cursor_id:
        answer = parse_reply(cursor.more(60_000))

    assert answer.events[-1]["operationType"] == "invalidate"
    cursor.close()
