"""The change stream: whole answers, fetched by a thread a little ahead of the loop.

The thread only waits for the server and hands over bytes; they are decoded where they are used, so
that the server works on the next batch meanwhile and the two threads rarely want the interpreter
at the same time.

What ``watch()`` would add, resuming by itself, the bridge has anyway: an error ends this stream,
and the next one begins at the last settled position.
"""

import logging
import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from bridge.errors import BridgeError, Misconfigured, Retryable
from bridge.model.position import Position
from bridge.model.transition import Batch
from bridge.mongo.change_stream_cursor import Answer, ChangeStreamCursor, unpacked
from bridge.mongo.client import AWAIT_MS, Document
from bridge.mongo.decoder import OPTIONS, Decoder, position_in
from bridge.mongo.errors import TokenRefused, classify, translated

logger = logging.getLogger(__name__)

#: How many answers the reader may be ahead of the loop.
AHEAD = 2

#: An answer of no more bytes, some ten events, is all there was: what comes next is still to be written.
_SMALL_BYTES = 4 * 1024
#: For so long the interpreter is left to the messages of a small answer, before the next is asked for: to ask at once
#: takes them 0.2 ms (docs/benchmarks.md).
_HEAD_START_SECONDS = 0.001


class StreamEnded(Retryable):
    """The collection was dropped or renamed, and with it the stream; the next one goes on after that."""


class ChangeStream:
    """The events of one collection after ``start``, as batches; a context manager.

    Entering opens the cursor and reads the first batch, so that a position the server cannot
    resume from is known before anyone is told that the bridge is ready. ``read`` never waits.
    """

    def __init__(
        self,
        collection: Collection[Document],
        stages: list[Document],
        decoder: Decoder,
        start: Position,
        wake: threading.Event,
        *,
        by_time: bool = False,
    ) -> None:
        self._cursor = ChangeStreamCursor(collection)
        self._stages = stages
        self._decoder = decoder
        self._start = self._reached = start
        self._wake = wake
        self._by_time = by_time
        self._answers: Queue[Answer] = Queue(AHEAD)
        self._ended = False
        self._failure: BridgeError | None = None
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._run, name="change-stream", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._answers.put(self._ask(self._open))
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
        # The reader sits in a read of at most AWAIT_MS; on a dead path it is left behind, a daemon.
        self._reader.join(2 * AWAIT_MS / 1000)

    def read(self) -> Batch | None:
        """The next batch, or None when there is none yet. Raises what ended the stream, after the last batch."""
        try:
            answer = self._answers.get_nowait()
        except Empty:
            if self._ended:
                raise StreamEnded(
                    "The change stream ended with its collection", "Nothing is lost", part="mongodb"
                ) from None
            if self._failure and self._answers.empty():
                raise self._failure from None
            return None
        return self._batch(answer)

    def _batch(self, answer: Answer) -> Batch:
        events, token, cursor_id = unpacked(answer)
        self._ended = not cursor_id
        if events and _key(events[0]) <= self._reached.key:  # going by time begins a little before
            events = [one for one in events if _key(one) > self._reached.key]
        with translated():  # job ids may have to be looked up
            decoded = self._decoder.decode(events)
        reached = [self._reached]
        if token:
            reached.append(position_in(token))
        if decoded:  # an invalidate's own token is later than the one after its batch
            reached.append(decoded[-1].position)
        self._reached = max(reached)
        return Batch(decoded, self._reached)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                answer = self._ask(self._more)
                self._hand_over(answer)
                if len(answer) <= _SMALL_BYTES:
                    self._closing.wait(_HEAD_START_SECONDS)
        except BridgeError as error:
            self._failure = error
        except Exception as error:  # the thread must not die unnoticed
            logger.exception("the reader of the change stream failed")
            self._failure = BridgeError(f"bug in the reader: {type(error).__name__}: {error}")
        self._wake.set()
        self._cursor.close()

    def _hand_over(self, answer: Answer) -> None:
        while not self._closing.is_set():
            try:
                self._answers.put(answer, timeout=0.5)
                self._wake.set()
                return
            except Full:
                continue

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer; where the server refuses the token, what follows the position's cluster time instead."""
        try:
            return question()
        except PyMongoError as error:
            verdict = classify(error)
            if self._by_time or not isinstance(verdict, TokenRefused):
                raise _final(verdict) from error
        logger.warning(
            "the resume token is refused (changed fields or collection): going on from its cluster time, nothing is lost",
            extra={"position": str(self._start)},
        )
        self._by_time = True
        return self._ask(self._open)

    def _open(self) -> Answer:
        options: Document = {}
        if self._start.token and not self._by_time:
            options["startAfter"] = _token(self._start)
        else:
            options["startAtOperationTime"] = Timestamp(*self._start.cluster_time)
        return self._cursor.open([{"$changeStream": options}, *self._stages])

    def _more(self) -> Answer:
        return self._cursor.more(AWAIT_MS)


def _key(event: Document) -> str:
    """What positions are compared by; tokens sort as strings."""
    key: str = event["_id"]["_data"]
    return key


def _token(position: Position) -> Document:
    token: Document = {"_data": position.token}
    if position.type_bits:
        token["_typeBits"] = bytes.fromhex(position.type_bits)
    return token


def _final(verdict: BridgeError) -> BridgeError:
    if isinstance(verdict, TokenRefused):
        return Misconfigured(
            f"MongoDB refuses the position, by its time too: {verdict.what}",
            "Nothing is lost, nothing was skipped",
            "'job-bridge token show' tells the position; 'job-bridge token set TIME' with an earlier time goes on",
        )
    return verdict


def watched(client: MongoClient[Document], database: str, name: str) -> Collection[Document]:
    """The collection to watch, decoded leniently."""
    return client.get_database(database).get_collection(name, codec_options=OPTIONS)
