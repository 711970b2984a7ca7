"""The cursor of a change stream, read by commands: its answers come whole, and as bytes.

PyMongo's own cursor takes an answer apart before it asks for the next. Here the bytes are handed on
and the next can be asked for at once, so that the server works meanwhile (docs/benchmarks.md has both,
measured in the loop). What a cursor is owed is kept: all its commands are of one session, and go to
one server (driver specifications "driver sessions" and "server selection"; see :class:`bridge.mongo.client.SameServer`).
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import timeout
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from bridge.mongo.client import Document
from bridge.mongo.decoder import OPTIONS

#: A reply of the server as it came, BSON.
Answer = bytes | memoryview

BATCH_SIZE = 1000
#: How long an opening may take; a path that goes silent meanwhile is noticed by PyMongo's monitor of the server.
_OPEN_SECONDS = 3600
_RAW = OPTIONS.with_options(document_class=RawBSONDocument)


class ChangeStreamCursor:
    """One cursor; its calls raise PyMongo's errors, after which there is none. For one thread at a time."""

    def __init__(self, collection: Collection[Document]) -> None:
        self._database, self._name = collection.database, collection.name
        self._session = self._database.client.start_session(causal_consistency=False)
        self._id = 0

    def open(self, stages: Sequence[Document]) -> Answer:
        """Open it; the first answer, with what is there: the server waits for nothing.

        But it looks through the oplog until it has a batch or is at the end, and that may take minutes: a third of a
        million of others' entries a second.
        """
        with timeout(_OPEN_SECONDS):
            answer = self._command(
                {
                    "aggregate": self._name,
                    "pipeline": list(stages),
                    "cursor": {"batchSize": BATCH_SIZE},
                }
            )
        self._id = unpacked(answer).id
        return answer

    def more(self, await_ms: int) -> Answer:
        """The next answer: at once when there are events, without any when none came for so long."""
        return self._command(
            {
                "getMore": self._id,
                "collection": self._name,
                "batchSize": BATCH_SIZE,
                "maxTimeMS": await_ms,
            }
        )

    def close(self) -> None:
        """Let the server forget it; raises nothing."""
        if self._id:
            with suppress(PyMongoError):
                self._command({"killCursors": self._name, "cursors": [self._id]})
        self._session.end_session()

    def _command(self, command: Document) -> Answer:
        try:
            reply: RawBSONDocument = self._database.command(
                command, codec_options=_RAW, session=self._session
            )
        except PyMongoError:
            self._id = 0  # the server has ended it too, or is not there to be told
            raise
        return reply.raw


class Unpacked(NamedTuple):
    """An answer's events, the token after them (the post-batch token), and the cursor's id: 0 when it has ended."""

    events: list[Document]
    token: Document | None
    id: int


def unpacked(answer: Answer) -> Unpacked:
    """Take an answer apart; nothing it holds is refused, see :data:`bridge.mongo.decoder.OPTIONS`."""
    cursor = bson.decode(answer, OPTIONS)["cursor"]
    events = cursor["nextBatch"] if "nextBatch" in cursor else cursor["firstBatch"]
    return Unpacked(events, cursor.get("postBatchResumeToken"), cursor["id"])
