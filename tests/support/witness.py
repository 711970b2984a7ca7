"""An independent reader of the oplog: commits, and every stored checkpoint."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bridge.demo.servers.process import poll
from tests.support.watched_history import WatchedHistory

CHECKPOINTS = "job_bridge_checkpoints"
MARKS = "marks"
AWAIT_MILLIS = 200
AGAIN_SECONDS = 0.2
CATCH_UP_SECONDS = 120.0
JOIN_SECONDS = 60.0
#: Error of the wall time in the oplog: the server's clock ticks at this interval.
WALL_TICK_MILLIS = 20


@dataclass(frozen=True, slots=True)
class CommittedTransition:
    """A committed transition, and its place in the stream."""

    job_id: str
    trans_id: str
    state: str
    token: str


@dataclass(frozen=True, slots=True)
class Save:
    """A stored checkpoint; ``at`` is the moment by which it was decided, Unix milliseconds."""

    token: str
    at: float
    epoch: int


class Witness:
    """Reads one database and one checkpoint from the moment it is made until it is closed.

    It watches the whole deployment, so drops and renames do not end it; it waits out failures.
    """

    def __init__(self, uri: str, database: str, checkpoint: str) -> None:
        self.transitions: list[CommittedTransition] = []
        self.saves: list[Save] = []
        self._database = database
        self._checkpoint: dict[str, Any] = {"_id": checkpoint}
        self._job_ids: dict[Any, str] = {}
        self._histories: dict[Any, WatchedHistory] = {}
        self._marks: set[Any] = set()
        self._client: MongoClient[dict[str, Any]] = MongoClient(
            uri,
            w="majority",
            serverSelectionTimeoutMS=2000,
            connectTimeoutMS=2000,
            socketTimeoutMS=10_000,
        )
        self._begin: Timestamp = self._client.admin.command("ping")["operationTime"]
        self._after: Mapping[str, Any] | None = None
        self._closing = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()

    def __enter__(self) -> Witness:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(JOIN_SECONDS)
        self._client.close()

    def history(self, job_id: str) -> list[Mapping[str, Any]]:
        """The elements of a job's history, archived ones first."""
        (key,) = (key for key, known in self._job_ids.items() if known == job_id)
        return list(self._histories[key].elements())

    def catch_up(self) -> None:
        """Wait until everything committed before this call is known."""
        mark = uuid.uuid4().hex
        self._client[self._database][MARKS].insert_one({"_id": mark})
        poll(
            lambda: mark in self._marks or self._error is not None, "the witness", CATCH_UP_SECONDS
        )
        assert self._error is None, f"the witness failed: {self._error!r}"

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                try:
                    self._follow()
                except PyMongoError as error:
                    if getattr(error, "code", None) == 286:
                        raise
                    self._closing.wait(AGAIN_SECONDS)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
            self._error = error

    def _follow(self) -> None:
        match = {
            "$or": [
                {"ns.db": self._database},
                {"ns.coll": CHECKPOINTS, "documentKey._id": self._checkpoint["_id"]},
            ]
        }
        begin = None if self._after else self._begin
        with self._client.watch(
            [{"$match": match}],
            start_after=self._after,
            start_at_operation_time=begin,
            max_await_time_ms=AWAIT_MILLIS,
        ) as stream:
            while not self._closing.is_set():
                event = stream.try_next()
                if event is not None:
                    self._note(event)
                self._after = stream.resume_token

    def _note(self, event: Mapping[str, Any]) -> None:
        if "documentKey" not in event:
            return
        if event["ns"]["coll"] == CHECKPOINTS:
            self._note_checkpoint(event)
        elif event["ns"]["coll"] == MARKS:
            self._marks.add(event["documentKey"]["_id"])
        else:
            self._note_job(event)

    def _note_job(self, event: Mapping[str, Any]) -> None:
        key, token = event["documentKey"]["_id"], event["_id"]["_data"]
        if event["operationType"] == "insert":
            self._job_ids[key] = event["fullDocument"]["id"]
            history = self._histories[key] = WatchedHistory(event["fullDocument"])
            new = history.elements()
        elif event["operationType"] == "replace":
            new = self._histories[key].replace(event["fullDocument"])
        elif event["operationType"] == "update":
            new = self._histories[key].update(event["updateDescription"])
        else:
            return
        self.transitions += [
            CommittedTransition(self._job_ids[key], element["trans_id"], element["state"], token)
            for element in new
        ]

    def _note_checkpoint(self, event: Mapping[str, Any]) -> None:
        changed = event.get("fullDocument") or event["updateDescription"]["updatedFields"]
        self._checkpoint |= changed
        if "token" in changed:
            wall = event["wallTime"].timestamp() * 1000 + WALL_TICK_MILLIS
            self.saves.append(
                Save(
                    changed["token"],
                    min(self._checkpoint["saved_at"] * 1000, wall),
                    self._checkpoint["epoch"],
                )
            )
