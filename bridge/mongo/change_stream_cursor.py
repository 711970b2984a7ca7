"""The cursor of a change stream, read by commands: its replies arrive whole, as bytes.

PyMongo's own cursor decodes a reply before it sends the next command. With raw replies the next
command can be sent at once, so the server works meanwhile (docs/benchmarks.md compares both in the
loop). As the driver specifications "driver sessions" and "server selection" require, all commands
of a cursor use the same session and server; see :class:`bridge.mongo.client.SameServer`.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import bson
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo import timeout
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from bridge.errors import BridgeError, Misconfigured
from bridge.hints import Hint
from bridge.model.position import Position
from bridge.mongo.client import Document
from bridge.mongo.decoder import OPTIONS
from bridge.mongo.errors import TokenRefused

#: A reply of the server as received: BSON.
Reply = bytes | memoryview

BATCH_SIZE = 1000
#: How long opening may last. PyMongo's monitor of the server detects a broken connection earlier.
_OPEN_SECONDS = 3600
_RAW = OPTIONS.with_options(document_class=RawBSONDocument)


class ChangeStreamCursor:
    """A server-side cursor, for one thread at a time.

    Its methods raise PyMongo's errors; after an error the cursor no longer exists.
    """

    def __init__(self, collection: Collection[Document]) -> None:
        self._database = collection.database
        self._name = collection.name
        self._session = self._database.client.start_session(causal_consistency=False)
        self._id = 0

    def open(self, stages: Sequence[Document], batch_size: int = BATCH_SIZE) -> Reply:
        """Open the cursor and return its first reply, which may contain no events.

        The server scans the oplog until it has a batch or reaches the end. That may take minutes:
        it scans about 330,000 entries of other collections per second. With a ``batch_size`` of 0
        it reads no event yet.
        """
        with timeout(_OPEN_SECONDS):
            reply = self._command(
                {
                    "aggregate": self._name,
                    "pipeline": list(stages),
                    "cursor": {"batchSize": batch_size},
                }
            )
        self._id = parse_reply(reply).cursor_id
        return reply

    def more(self, await_ms: int, batch_size: int = BATCH_SIZE) -> Reply:
        """Return the next reply: as soon as there are events, or empty after ``await_ms``."""
        return self._command(
            {
                "getMore": self._id,
                "collection": self._name,
                "batchSize": batch_size,
                "maxTimeMS": await_ms,
            }
        )

    def close(self) -> None:
        """Kill the cursor on the server; raises nothing."""
        if self._id:
            with suppress(PyMongoError):
                self._command({"killCursors": self._name, "cursors": [self._id]})
        self._session.end_session()

    def _command(self, command: Document) -> Reply:
        try:
            reply: RawBSONDocument = self._database.command(
                command, codec_options=_RAW, session=self._session
            )
        except PyMongoError:
            # The server has closed the cursor too, or is unreachable.
            self._id = 0
            raise
        return reply.raw


def resume_options(start: Position, *, by_time: bool = False) -> Document:
    """Return the options of ``$changeStream`` for the events after ``start``.

    Args:
        by_time: use the cluster time, not the token.
    """
    if start.token and not by_time:
        token: Document = {"_data": start.token}
        if start.type_bits:
            token["_typeBits"] = bytes.fromhex(start.type_bits)
        return {"startAfter": token}
    return {"startAtOperationTime": Timestamp(*start.cluster_time)}


class ParsedReply(NamedTuple):
    """The content of a reply.

    Attributes:
        events: shaped change events, see event_fields.py.
        token: the resume token after them (``postBatchResumeToken``).
        cursor_id: 0 when the server has closed the cursor.
    """

    events: list[Document]
    token: Document | None
    cursor_id: int


def parse_reply(reply: Reply) -> ParsedReply:
    """Parse a reply; accepts any content, see :data:`bridge.mongo.decoder.OPTIONS`."""
    cursor = bson.decode(reply, OPTIONS)["cursor"]
    events = cursor["nextBatch"] if "nextBatch" in cursor else cursor["firstBatch"]
    return ParsedReply(events, cursor.get("postBatchResumeToken"), cursor["id"])


def final(verdict: BridgeError) -> BridgeError:
    """Return the verdict on an error of a cursor that was opened by time, which is the last try."""
    if isinstance(verdict, TokenRefused):
        return Misconfigured(
            f"MongoDB rejects both the token and the cluster time of the position: {verdict.what}",
            "Nothing was lost or skipped",
            f"'{Hint.TOKEN_SHOW}' shows the position; run '{Hint.TOKEN_SET_TIME}' with an earlier "
            "time to resume",
        )
    return verdict
