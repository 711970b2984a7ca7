"""Finds the event that MongoDB cannot shape or the bridge cannot decode, and dead-letters it.

An expression of the stages may fail on the content of an event. The server then delivers neither
that event nor any after it, at each retry. After :data:`TRIES` failures without progress the stream
is read one event at a time, so that the position before the failing event is known.

The server applies the stages also to the event of a resume token (MongoDB 6.0 moves ``$project``
before its check of the token). So :func:`stages_after` resumes by cluster time and filters first.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from bridge.model.position import TIME_DIGITS, Position
from bridge.model.transition import Event
from bridge.mongo.change_stream_cursor import (
    BATCH_SIZE,
    ChangeStreamCursor,
    ParsedReply,
    Reply,
    parse_reply,
    resume_options,
)
from bridge.mongo.client import Document
from bridge.mongo.decoder import OPTIONS, dead_letter_of, position_of_token
from bridge.mongo.event_fields import DOCUMENT_KEY, OPERATION, TOKEN, WALL_TIME

#: Failures in a row, without an event in between, after which the event is looked for.
TRIES = 3
#: How long a read for an event may wait for more of them, in milliseconds.
_AWAIT_MS = 100
#: How long the stages may scan for the failure of an event; far longer than they need.
_SCAN_SECONDS = 60.0
#: Stages that fail on the content of no event.
_BARE: Sequence[Document] = (
    {
        "$project": {
            OPERATION: "$operationType",
            WALL_TIME: "$wallTime",
            DOCUMENT_KEY: "$documentKey._id",
        }
    },
)
_RAW = OPTIONS.with_options(document_class=RawBSONDocument)


class RepeatedFailure:
    """Counts the failures of the server since an event was read, over all streams of a source."""

    def __init__(self) -> None:
        self.times = 0

    @property
    def is_suspicious(self) -> bool:
        """Whether the content of an event may be the cause."""
        return self.times >= TRIES


@dataclass(frozen=True, slots=True)
class Shaping:
    """The aggregation stages of a source's streams, and the record of their failures."""

    stages: Sequence[Document]
    failures: RepeatedFailure = field(default_factory=RepeatedFailure)


def stages_after(position: Position, stages: Sequence[Document]) -> list[Document]:
    """Return a pipeline that applies ``stages`` only to the events after ``position``."""
    options = resume_options(position, by_time=True)
    later = {"$match": {"_id._data": {"$gt": position.key}}}
    return [{"$changeStream": options}, later, *stages]


class EventSearch:
    """Searches the events of a collection for the first on which the stages fail."""

    def __init__(self, collection: Collection[Document], stages: Sequence[Document]) -> None:
        self._collection = collection
        self._stages = stages

    def first_failing(self, after: Position, code: int | None) -> Document | None:
        """Return the first event after ``after`` on which the stages fail with this code.

        Its fields are those of a shaped event, without a transition. Returns None if the content of
        an event is not the cause. Raises PyMongo's errors.
        """
        # The failure has another cause if the stages also fail when they see no event.
        if self._fails(after, after.key, code=code):
            return None
        for start, events in self._batches(after):
            fails = partial(self._fails, start, code=code)
            tokens = [event[TOKEN]["_data"] for event in events]
            if fails(tokens[-1]):
                return events[bisect_left(tokens, True, key=fails)]
        return None

    def _batches(self, after: Position) -> Iterator[tuple[Position, list[Document]]]:
        """Deliver the events after a position, whatever their content, with their start."""
        while True:
            with closing(ChangeStreamCursor(self._collection)) as cursor:
                cursor.open(stages_after(after, _BARE), 0)
                events = parse_reply(cursor.more(_AWAIT_MS)).events
            if not events:
                return
            yield after, events
            after = position_of_token(events[-1][TOKEN])

    def _fails(self, after: Position, last_token: str, *, code: int | None) -> bool:
        """Return whether the stages fail on an event after ``after``, up to ``last_token``."""
        up_to = {"$match": {"_id._data": {"$lte": last_token}}}
        last_time = last_token[:TIME_DIGITS]
        deadline = time.monotonic() + _SCAN_SECONDS
        with closing(ChangeStreamCursor(self._collection)) as cursor:
            try:
                cursor.open(stages_after(after, [up_to, *self._stages]), 0)
                while time.monotonic() < deadline:
                    events, token, _ = parse_reply(cursor.more(1, BATCH_SIZE))
                    # The token after a scan contains a cluster time only: at the end of the oplog
                    # it is that of the last event, and sorts before it.
                    if not events and token and token["_data"][:TIME_DIGITS] >= last_time:
                        return False
            except OperationFailure as error:
                if error.code != code:
                    raise
                return True
        return False


def parse_each(reply: Reply) -> tuple[ParsedReply, list[Event]]:
    """Parse a reply event by event; return the readable events, and the others as dead letters."""
    cursor = RawBSONDocument(bytes(reply), _RAW)["cursor"]
    raws = cursor["nextBatch"] if "nextBatch" in cursor else cursor["firstBatch"]
    events: list[Document] = []
    unreadable: list[Event] = []
    for raw in raws:
        try:
            events.append(bson.decode(raw.raw, OPTIONS))
        except BSONError as error:
            known = {TOKEN: _first_document(raw.raw), **_readable(raw, DOCUMENT_KEY)}
            unreadable.append(dead_letter_of(known, f"its BSON is not valid ({error})"))
    token = bson.decode(cursor["postBatchResumeToken"].raw, OPTIONS)
    return ParsedReply(events, token, cursor["id"]), unreadable


def _first_document(raw: bytes) -> Document:
    """Decode the first field of an event, its token, whatever the others are.

    BSON: 4 bytes of length, the type of a document, the name, then the document with its length.
    """
    start = 4 + len(b"\x03_id\x00")
    length = int.from_bytes(raw[start : start + 4], "little")
    return bson.decode(raw[start : start + length], OPTIONS)


def _readable(raw: RawBSONDocument, name: str) -> Document:
    """Return a field of a document whose other fields may not be readable."""
    try:
        value: Any = raw[name]
    except (KeyError, BSONError):
        return {}
    return {name: value.raw if isinstance(value, RawBSONDocument) else value}
