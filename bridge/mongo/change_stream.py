"""The change stream: replies that a thread fetches slightly ahead of the loop.

The thread waits for the server and passes bytes on; the loop's thread decodes them. So the server
works on the next batch meanwhile, and the two threads rarely compete for the interpreter.

``watch()`` would resume by itself. The bridge does that in any case: an error ends this stream, and
the next stream starts at the last settled position.
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
from bridge.hints import Hint
from bridge.model.position import Position
from bridge.model.transition import Batch
from bridge.mongo.change_stream_cursor import ChangeStreamCursor, Reply, parse_reply
from bridge.mongo.client import AWAIT_MS, Document
from bridge.mongo.decoder import OPTIONS, Decoder, position_of_token
from bridge.mongo.errors import TokenRefused, classify, translated

logger = logging.getLogger(__name__)

#: How many replies the reader may be ahead of the loop.
MAX_REPLIES_AHEAD = 2

#: A reply up to this size, about ten events, shows that the stream has caught up.
_SMALL_BYTES = 4 * 1024
#: Pause after a small reply, which leaves the interpreter to its messages: reading on at once would
#: delay them by 0.2 ms (docs/benchmarks.md).
_HEAD_START_SECONDS = 0.001


class StreamEnded(Retryable):
    """The collection was dropped or renamed, which ends its stream; the next resumes after that."""


class ChangeStream:
    """The events of a collection after ``start``, in batches; a context manager.

    Entering opens the cursor and reads the first batch. A position that MongoDB cannot resume from
    is known then, before the bridge reports that it is ready.

    Args:
        wake: set when a batch is ready, or when the stream ends.
        by_time: open by the cluster time of ``start``, not by its token.
    """

    def __init__(
        self,
        collection: Collection[Document],
        stages: list[Document],
        decoder: Decoder,
        *,
        start: Position,
        wake: threading.Event,
        by_time: bool = False,
    ) -> None:
        self._cursor = ChangeStreamCursor(collection)
        self._stages = stages
        self._decoder = decoder
        self._start = start
        self._reached = start
        self._wake = wake
        self._by_time = by_time
        self._replies: Queue[Reply] = Queue(MAX_REPLIES_AHEAD)
        self._ended = False
        self._failure: BridgeError | None = None
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._run, name="change-stream", daemon=True)

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
            if self._ended:
                raise StreamEnded(
                    "The change stream ended with its collection", "Nothing is lost", part="mongodb"
                ) from None
            if self._failure and self._replies.empty():
                raise self._failure from None
            return None
        return self._batch(reply)

    def _batch(self, reply: Reply) -> Batch:
        events, token, cursor_id = parse_reply(reply)
        self._ended = not cursor_id
        # A stream opened by time starts slightly before the position.
        if events and _sort_key(events[0]) <= self._reached.key:
            events = [event for event in events if _sort_key(event) > self._reached.key]
        with translated():  # the decoder may look up job ids
            decoded = self._decoder.decode(events)
        positions = [self._reached]
        if token:
            positions.append(position_of_token(token))
        # The token of an invalidate event is later than the token after its batch.
        if decoded:
            positions.append(decoded[-1].position)
        self._reached = max(positions)
        return Batch(decoded, self._reached)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                reply = self._request(self._more)
                self._hand_over(reply)
                if len(reply) <= _SMALL_BYTES:
                    self._closing.wait(_HEAD_START_SECONDS)
        except BridgeError as error:
            self._failure = error
        except Exception as error:  # the loop must learn that the thread ended
            logger.exception("the reader of the change stream failed")
            self._failure = BridgeError(
                f"bug in the reader of the change stream: {type(error).__name__}: {error}"
            )
        self._wake.set()
        self._cursor.close()

    def _hand_over(self, reply: Reply) -> None:
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
                raise _final(verdict) from error
        logger.warning(
            "MongoDB rejects the resume token, because fields or the collection changed; "
            "the stream resumes from its cluster time, nothing is lost",
            extra={"position": str(self._start)},
        )
        self._by_time = True
        return self._request(self._open)

    def _open(self) -> Reply:
        options: Document = {}
        if self._start.token and not self._by_time:
            options["startAfter"] = _resume_token(self._start)
        else:
            options["startAtOperationTime"] = Timestamp(*self._start.cluster_time)
        return self._cursor.open([{"$changeStream": options}, *self._stages])

    def _more(self) -> Reply:
        return self._cursor.more(AWAIT_MS)


def _sort_key(event: Document) -> str:
    """Return the text of the event's token; tokens sort as text, as positions do."""
    key: str = event["_id"]["_data"]
    return key


def _resume_token(position: Position) -> Document:
    token: Document = {"_data": position.token}
    if position.type_bits:
        token["_typeBits"] = bytes.fromhex(position.type_bits)
    return token


def _final(verdict: BridgeError) -> BridgeError:
    if isinstance(verdict, TokenRefused):
        return Misconfigured(
            f"MongoDB rejects both the token and the cluster time of the position: {verdict.what}",
            "Nothing was lost or skipped",
            f"'{Hint.TOKEN_SHOW}' shows the position; run '{Hint.TOKEN_SET_TIME}' with an earlier "
            "time to resume",
        )
    return verdict


def jobs_collection(
    client: MongoClient[Document], database: str, name: str
) -> Collection[Document]:
    """Return the collection, decoded with :data:`bridge.mongo.decoder.OPTIONS`."""
    return client.get_database(database).get_collection(name, codec_options=OPTIONS)
