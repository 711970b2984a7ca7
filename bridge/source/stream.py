"""The change stream: whole batches, fetched by a thread a little ahead of the loop.

The thread only waits for the server and hands over bytes; they are decoded where they are used, so
that the server works on the next batch meanwhile and the two threads rarely want the interpreter
at the same time.

Read with ``aggregate_raw_batches`` rather than ``watch()``: it hands over whole server batches,
keeps the session and the pinning of its cursor, and wakes at once when a write commits. What
``watch()`` would add, resuming by itself, the bridge has anyway: an error ends this stream, and
the next one begins at the last settled position. The post-batch token comes from the driver's
public command monitoring (it is in every reply of a change stream's cursor).
"""

import logging
import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Any, NamedTuple, Self

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from bridge.errors import BridgeError, Misconfigured, Retryable
from bridge.model.position import Position
from bridge.model.transition import Batch
from bridge.source.client import AWAIT_MS, Document
from bridge.source.decode import OPTIONS, Decoder, position_in
from bridge.source.errors import TokenRefused, classify, translated

logger = logging.getLogger(__name__)

BATCH_SIZE = 1000
#: How many batches the reader may be ahead of the loop.
AHEAD = 2


#: Leaves documents as they came, to be told apart by their tokens.
_RAW = OPTIONS.with_options(document_class=RawBSONDocument)


class StreamEnded(Retryable):
    """The collection was dropped or renamed, and with it the stream; the next one goes on after that."""


class PostBatchToken(CommandListener, threading.local):
    """Remembers the token after the last batch; to be given to the stream's client.

    Each thread sees its own: a reader left behind on a dead path may still hear an answer, and its
    token must not pass for one of the stream that came after it.
    """

    def __init__(self) -> None:
        self.token: Any = None

    def started(self, event: CommandStartedEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name in ("aggregate", "getMore"):
            token = event.reply.get("cursor", {}).get("postBatchResumeToken")
            if token is not None:
                self.token = token


class _Fetched(NamedTuple):
    """One answer of the server: its events as BSON, and the position after all of them."""

    data: bytes
    after: Position


class ChangeStream:
    """The events of one collection after ``start``, as batches; a context manager.

    Entering opens the cursor and reads the first batch, so that a position the server cannot
    resume from is known before anyone is told that the bridge is ready. ``read`` never waits.
    """

    def __init__(
        self, collection: Collection[Document], post_batch: PostBatchToken, stages: list[Document],
        decoder: Decoder, start: Position, wake: threading.Event, *, by_time: bool = False,
    ) -> None:
        self._collection = collection
        self._post_batch = post_batch
        self._stages = stages
        self._decoder = decoder
        #: Of the reader, and of the loop, which is behind it.
        self._position = self._reached = start
        self._wake = wake
        self._by_time = by_time
        self._fetched: Queue[_Fetched] = Queue(AHEAD)
        self._failure: BridgeError | None = None
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._run, name="change-stream", daemon=True)

    def __enter__(self) -> Self:
        # The first read waits for nothing: an idle collection must not delay readiness.
        first = self._first()
        self._position = first.after
        self._fetched.put(first)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        # The reader sits in a read of at most AWAIT_MS; on a dead path it is left behind, a daemon.
        self._reader.join(2 * AWAIT_MS / 1000)

    def read(self) -> Batch | None:
        """The next batch, or None when there is none yet. Raises what ended the stream, after the last batch."""
        try:
            data, after = self._fetched.get_nowait()
        except Empty:
            if self._failure and self._fetched.empty():
                raise self._failure from None
            return None
        with translated():  # job ids may have to be looked up
            events = self._decoder.decode(bson.decode_all(data, OPTIONS))
        # An invalidate's own token is later than the one after its batch.
        self._reached = max(self._reached, after, events[-1].position if events else after)
        return Batch(events, self._reached)

    def _first(self) -> _Fetched:
        with translated():
            try:
                return next(self._fetch(await_ms=1))
            except PyMongoError as error:
                if self._by_time or not isinstance(classify(error), TokenRefused):
                    raise
                self._go_by_time()
                return next(self._fetch(await_ms=1))

    def _run(self) -> None:
        try:
            for fetched in self._fetch_all():
                self._hand_over(fetched)
                if self._closing.is_set():
                    return
        except BridgeError as error:
            self._failure = error
        except Exception as error:  # the thread must not die unnoticed
            logger.exception("the reader of the change stream failed")
            self._failure = BridgeError(f"bug in the reader: {type(error).__name__}: {error}")
        self._wake.set()

    def _hand_over(self, fetched: _Fetched) -> None:
        while not self._closing.is_set():
            try:
                self._fetched.put(fetched, timeout=0.5)
                self._wake.set()
                return
            except Full:
                continue

    def _fetch_all(self) -> Iterator[_Fetched]:
        while True:
            try:
                moved = False
                for fetched in self._fetch(AWAIT_MS):
                    moved = moved or bool(fetched.data)
                    self._position = fetched.after
                    yield fetched
                if self._by_time and not moved:
                    # Going by time only led up to the end the token already covered: go on after it.
                    self._by_time = False
                    continue
                raise StreamEnded("The change stream ended with its collection", "Nothing is lost", part="mongodb")
            except PyMongoError as error:
                verdict = classify(error)
                if self._by_time or not isinstance(verdict, TokenRefused):
                    raise _final(verdict) from error
                self._go_by_time()

    def _go_by_time(self) -> None:
        """Resume by the cluster time of the position, dropping what the token already covered."""
        logger.warning(
            "the resume token is refused (changed fields or collection): going on from its cluster time, nothing is lost",
            extra={"position": str(self._position)},
        )
        self._by_time = True

    def _fetch(self, await_ms: int) -> Iterator[_Fetched]:
        """All that one cursor gives, empty batches too; ends when the server closes the cursor."""
        covered = self._position.token if self._by_time else ""
        with self._open(await_ms) as cursor:
            while cursor.alive and not self._closing.is_set():
                data = cursor.try_next() or b""
                yield _Fetched(_uncovered(data, covered) if covered else data, self._after())

    def _after(self) -> Position:
        token = self._post_batch.token
        return self._position if token is None else max(self._position, position_in(token))

    def _open(self, await_ms: int) -> Any:
        options: Document = {}
        if self._position.token and not self._by_time:
            options["startAfter"] = _token(self._position)
        else:
            options["startAtOperationTime"] = bson.timestamp.Timestamp(*self._position.cluster_time)
        self._post_batch.token = None
        return self._collection.aggregate_raw_batches(
            [{"$changeStream": options}, *self._stages], batchSize=BATCH_SIZE, maxAwaitTimeMS=await_ms
        )


def _uncovered(data: bytes, covered: str) -> bytes:
    """The events after a token; tokens sort as strings."""
    return b"".join(one.raw for one in bson.decode_all(data, _RAW) if one["_id"]["_data"] > covered)


def _token(position: Position) -> Document:
    token: Document = {"_data": position.token}
    if position.type_bits:
        token["_typeBits"] = bytes.fromhex(position.type_bits)
    return token


def _final(verdict: BridgeError) -> BridgeError:
    if isinstance(verdict, TokenRefused):
        return Misconfigured(
            f"MongoDB refuses the position, by its time too: {verdict.what}", "Nothing is lost, nothing was skipped",
            "'job-bridge token show' tells the position; 'job-bridge token set TIME' with an earlier time goes on",
        )
    return verdict


def watched(client: MongoClient[Document], database: str, name: str) -> Collection[Document]:
    """The collection to watch, decoded leniently."""
    return client.get_database(database).get_collection(name, codec_options=OPTIONS)
