"""The change stream: replies that a thread fetches slightly ahead of the loop.

The thread waits for the server and passes bytes on; the loop's thread decodes them. So the server
works on the next batch meanwhile, and the two threads rarely compete for the interpreter.

``watch()`` would resume by itself. The bridge does that in any case: an error ends this stream, and
the next stream starts at the last settled position. A dropped or renamed collection is not an
error: the stream continues with the next collection of that name.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from bridge.errors import BridgeError, Unreadable
from bridge.model.position import Position
from bridge.model.transition import Batch, Event
from bridge.mongo.change_stream_cursor import (
    BATCH_SIZE,
    ChangeStreamCursor,
    Reply,
    final,
    parse_reply,
    resume_options,
)
from bridge.mongo.client import AWAIT_MS, Document
from bridge.mongo.decoder import OPTIONS, Decoder, dead_letter_of, document_of, position_of_token
from bridge.mongo.errors import EVENT_TOO_LARGE, ServerFailed, TokenRefused, classify, translated
from bridge.mongo.unreadable_event import EventSearch, Shaping, parse_each, stages_after

logger = logging.getLogger(__name__)

#: How many replies the reader may be ahead of the loop.
MAX_REPLIES_AHEAD = 2

#: A reply up to this size, about ten events, shows that the stream has caught up.
_SMALL_BYTES = 4 * 1024
#: Pause after a small reply, which leaves the interpreter to its messages: reading on at once would
#: delay them by 0.2 ms (docs/benchmarks.md).
_HEAD_START_SECONDS = 0.001


class ChangeStream:
    """The events of a collection after ``start``, in batches; a context manager.

    MongoDB closes a change stream after its collection was dropped or renamed (MongoDB manual,
    "invalidate event"). A new cursor then resumes after that event.

    Entering opens the cursor and reads the first batch. A position that MongoDB cannot resume from
    is known then, before the bridge reports that it is ready.

    Args:
        wake: set when a batch is ready, or when the stream ends.
        by_time: open by the cluster time of ``start``, not by its token.
    """

    def __init__(
        self,
        collection: Collection[Document],
        shaping: Shaping,
        decoder: Decoder,
        *,
        start: Position,
        wake: threading.Event,
        by_time: bool = False,
    ) -> None:
        self._search = EventSearch(collection, shaping.stages)
        self._collection = collection
        self._cursor = ChangeStreamCursor(collection)
        self._shaping = shaping
        self._decoder = decoder
        self._start = start
        self._reached = start
        self._wake = wake
        self._by_time = by_time
        self._replies: Queue[Reply | Batch] = Queue(MAX_REPLIES_AHEAD)
        #: Events that are still read one at a time, because an event may make the stages fail.
        self._singles = BATCH_SIZE if shaping.failures.is_suspicious else 0
        #: How far it was read one at a time.
        self._read_up_to = start
        self._ended = False
        self._failure: BridgeError | None = None
        self._closing = threading.Event()
        #: Whether the reader has handed over its last reply.
        self._finished = False
        self._reader = self._new_reader()

    def __enter__(self) -> Self:
        try:
            self._replies.put(self._request(self._open))
        except BridgeError:
            self._cursor.close()
            raise
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        # A read lasts up to AWAIT_MS. On a broken connection it may last longer; the reader is then
        # abandoned, which a daemon thread allows.
        self._reader.join(2 * AWAIT_MS / 1000)

    def read(self) -> Batch | None:
        """Return the next batch without waiting; None if it has not arrived yet.

        Raises:
            BridgeError: the error that ended the stream, after its last batch.
        """
        try:
            reply = self._replies.get_nowait()
        except Empty:
            if self._finished and self._replies.empty():
                self._continue()
            return None
        return self._passed(reply) if isinstance(reply, Batch) else self._batch(reply)

    def _continue(self) -> None:
        """Start another reader after the event that ended the stream; else raise the failure."""
        if not self._ended:
            raise self._failure or BridgeError("bug: the reader of the change stream ended")
        self._cursor = ChangeStreamCursor(self._collection)
        self._start = self._reached
        self._read_up_to = self._reached
        self._by_time = False
        self._ended = False
        self._finished = False
        self._failure = None
        self._reader = self._new_reader(reopen=True)
        self._reader.start()

    def _new_reader(self, *, reopen: bool = False) -> threading.Thread:
        return threading.Thread(target=self._run, args=(reopen,), name="change-stream", daemon=True)

    def _passed(self, batch: Batch) -> Batch:
        self._shaping.failures.times = 0
        self._reached = max(self._reached, batch.position)
        return batch

    def _batch(self, reply: Reply) -> Batch:
        unreadable: list[Event] = []
        try:
            events, token, cursor_id = parse_reply(reply)
        except BSONError:
            (events, token, cursor_id), unreadable = parse_each(reply)
        # A stream opened by time starts slightly before the position.
        if events and _sort_key(events[0]) <= self._reached.key:
            events = [event for event in events if _sort_key(event) > self._reached.key]
        if events:
            self._shaping.failures.times = 0
        # Without an event nothing explains the end: the reader fails, and the retry waits.
        self._ended = not cursor_id and bool(events)
        try:
            with translated():  # the decoder may look up job ids
                decoded = self._decoder.decode(events)
        except ServerFailed as failure:
            raise failure.at(f" to look up jobs after {self._reached}") from failure
        if unreadable:
            decoded = sorted([*decoded, *unreadable], key=_position)
        positions = [self._reached]
        if token:
            positions.append(position_of_token(token))
        # The token of an invalidate event is later than the token after its batch.
        if decoded:
            positions.append(decoded[-1].position)
        self._reached = max(positions)
        return Batch(decoded, self._reached)

    def _run(self, reopen: bool) -> None:
        cursor = self._cursor
        try:
            if reopen:
                self._hand_over(self._request(self._open))
            while not self._closing.is_set():
                reply = self._next()
                self._hand_over(reply)
                if isinstance(reply, Batch) or len(reply) <= _SMALL_BYTES:
                    self._closing.wait(_HEAD_START_SECONDS)
        except BridgeError as error:
            self._failure = error
        except Exception as error:  # the loop must learn that the thread ended
            logger.exception("the reader of the change stream failed")
            self._failure = BridgeError(
                f"bug in the reader of the change stream: {type(error).__name__}: {error}"
            )
        self._finished = True
        self._wake.set()
        cursor.close()

    def _next(self) -> Reply | Batch:
        """Return the next reply, or a batch that passes an event on which the stages fail."""
        try:
            reply = self._request(self._more)
        except ServerFailed as failure:
            return self._pass(failure)
        if self._singles:
            (events, token, _), unreadable = parse_each(reply)
            self._singles = self._singles - 1 if events or unreadable else 0
            self._read_up_to = position_of_token(token) if token else self._read_up_to
        return reply

    def _pass(self, failure: ServerFailed) -> Batch:
        """Reopen the stream after the event that fails, and return that event's dead letter.

        Raises ``failure`` if the content of an event is not the cause.
        """
        if not self._singles:
            raise failure
        with translated():
            failing = self._search.first_failing(self._read_up_to, failure.code)
        if failing is None:
            raise failure.at(f" after {self._read_up_to}")
        event = dead_letter_of(failing, f"MongoDB cannot evaluate it ({failure.text})")
        self._start = event.position
        self._read_up_to = event.position
        self._singles = BATCH_SIZE
        self._request(self._open)
        return Batch([event], event.position)

    def _hand_over(self, reply: Reply | Batch) -> None:
        while not self._closing.is_set():
            try:
                self._replies.put(reply, timeout=0.5)
                self._wake.set()
                return
            except Full:
                continue

    def _request(self, command: Callable[[], Reply]) -> Reply:
        """Return the reply to a command; if MongoDB rejects the token, reopen by cluster time."""
        try:
            return command()
        except PyMongoError as error:
            verdict = classify(error)
            if self._by_time or not isinstance(verdict, TokenRefused):
                raise self._failed(verdict) from error
        logger.warning(
            "MongoDB rejects the resume token, because fields or the collection changed; "
            "the stream resumes from its cluster time, nothing is lost",
            extra={"position": str(self._start)},
        )
        self._by_time = True
        return self._request(self._open)

    def _open(self) -> Reply:
        stages = self._shaping.stages
        if self._singles:
            return self._cursor.open(stages_after(self._start, stages), 0)
        options = resume_options(self._start, by_time=self._by_time)
        return self._cursor.open([{"$changeStream": options}, *stages])

    def _more(self) -> Reply:
        return self._cursor.more(AWAIT_MS, 1 if self._singles else BATCH_SIZE)

    def _failed(self, verdict: BridgeError) -> BridgeError:
        if isinstance(verdict, ServerFailed):
            failures = self._shaping.failures
            failures.times += 1
            return verdict.at(f" after {self._start}") if failures.is_suspicious else verdict
        return self._named(verdict) if isinstance(verdict, Unreadable) else final(verdict)

    def _named(self, verdict: Unreadable) -> Unreadable:
        """Name the document of an event that is too large, if it can be found."""
        with suppress(PyMongoError):
            event = self._search.first_failing(self._reached, EVENT_TOO_LARGE)
            if event is not None:
                what = f"{verdict.what} ({document_of(event)})"
                return Unreadable(what, verdict.data, verdict.todo)
        return verdict


def _sort_key(event: Document) -> str:
    """Return the text of the event's token; tokens sort as text, as positions do."""
    key: str = event["_id"]["_data"]
    return key


def _position(event: Event) -> Position:
    return event.position


def jobs_collection(
    client: MongoClient[Document], database: str, name: str
) -> Collection[Document]:
    """Return the collection, decoded with :data:`bridge.mongo.decoder.OPTIONS`."""
    return client.get_database(database).get_collection(name, codec_options=OPTIONS)
