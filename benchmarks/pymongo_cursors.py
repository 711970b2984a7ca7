"""The bridge with a cursor of PyMongo: ``python -m benchmarks.pymongo_cursors watch run``.

The first argument is ``watch`` or ``raw``. Measures the gain of a cursor that is read by commands,
in the real loop. Not for production: the tests do not cover it.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import bson
from pymongo import monitoring

from bridge.cli import main
from bridge.mongo import change_stream, change_stream_cursor
from bridge.mongo.change_stream_cursor import BATCH_SIZE
from bridge.mongo.decoder import OPTIONS

_AWAIT_MS = 1000
#: The size of a shaped event, roughly.
_EVENT_BYTES = 400


class Answer(tuple[Any, Any, int]):
    """Events, token and cursor id.

    Its length is that of the events in bytes, because the stream pauses after a short answer.
    """

    def __len__(self) -> int:
        events = self[0]
        return len(events) if isinstance(events, bytes) else len(events) * _EVENT_BYTES


class WatchCursor:
    """``watch()``: decodes each event, and stores its token before the next can be read."""

    _cursor: Any

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def open(self, stages: Sequence[Any], _: int = BATCH_SIZE) -> Any:
        ((start, value),) = stages[0]["$changeStream"].items()
        option = {
            "startAfter": "start_after",
            "startAtOperationTime": "start_at_operation_time",
        }[start]
        self._cursor = self._collection.watch(
            stages[1:], batch_size=BATCH_SIZE, max_await_time_ms=_AWAIT_MS, **{option: value}
        )
        return self.more(_AWAIT_MS)

    def more(self, _: int, __: int = BATCH_SIZE) -> Any:
        events = list(self._batch())
        return Answer((events, self._cursor.resume_token, int(self._cursor.alive)))

    def close(self) -> None:
        self._cursor.close()

    def _batch(self) -> Iterator[Any]:
        for _ in range(BATCH_SIZE):
            if (event := self._cursor.try_next()) is None:
                return
            yield event

    @staticmethod
    def parse_reply(answer: Any) -> change_stream_cursor.ParsedReply:
        return change_stream_cursor.ParsedReply(*answer)


class PostBatchToken(monitoring.CommandListener):
    """The token after a raw batch: PyMongo reports it to a monitor of its commands only."""

    token: Any = None

    def started(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass

    def succeeded(self, event: Any) -> None:
        if event.command_name in ("aggregate", "getMore"):
            cursor = event.reply.get("cursor", {})
            self.token = cursor.get("postBatchResumeToken") or self.token


post_batch = PostBatchToken()


class Raw:
    """``aggregate_raw_batches``: PyMongo unpacks and repacks a reply before the next command."""

    _cursor: Any

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def open(self, stages: Sequence[Any], _: int = BATCH_SIZE) -> Any:
        self._cursor = self._collection.aggregate_raw_batches(
            stages, batchSize=BATCH_SIZE, maxAwaitTimeMS=_AWAIT_MS
        )
        return self.more(_AWAIT_MS)

    def more(self, _: int, __: int = BATCH_SIZE) -> Any:
        events = self._cursor.try_next() or b""
        return Answer((events, post_batch.token, int(self._cursor.alive)))

    def close(self) -> None:
        self._cursor.close()

    @staticmethod
    def parse_reply(answer: Any) -> change_stream_cursor.ParsedReply:
        data, token, cursor_id = answer
        return change_stream_cursor.ParsedReply(bson.decode_all(data, OPTIONS), token, cursor_id)


def _replace(name: str, value: object) -> None:
    """Replace a name that the change stream's module uses.

    Raises:
        AttributeError: the module no longer has it.
    """
    getattr(change_stream, name)
    setattr(change_stream, name, value)


if __name__ == "__main__":
    reader: Any = {"watch": WatchCursor, "raw": Raw}[sys.argv.pop(1)]
    if reader is Raw:
        monitoring.register(post_batch)
    _replace("ChangeStreamCursor", reader)
    _replace("parse_reply", reader.parse_reply)
    main()
