"""The bridge as it is, but with a cursor of PyMongo's: ``python -m benchmarks.otherwise watch run``, or ``raw``.

Shows what a cursor read by commands is worth in the real loop. Not for use: the tests are not run on it.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import bson
from pymongo import monitoring

from bridge.cli import main
from bridge.mongo import change_stream, change_stream_cursor
from bridge.mongo.decoder import OPTIONS

#: Its names are what is changed.
reading: Any = change_stream
_AWAIT_MS = 1000


class Theirs:
    """A cursor of PyMongo's in the place of ours."""

    _cursor: Any

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def close(self) -> None:
        self._cursor.close()


class Watch(Theirs):
    """``watch()``: each event decoded, its token kept before the next may be read."""

    def open(self, stages: Sequence[Any]) -> Any:
        ((place, value),) = stages[0]["$changeStream"].items()
        start = {
            {"startAfter": "start_after", "startAtOperationTime": "start_at_operation_time"}[
                place
            ]: value
        }
        self._cursor = self._collection.watch(
            stages[1:],
            batch_size=change_stream_cursor.BATCH_SIZE,
            max_await_time_ms=_AWAIT_MS,
            **start,
        )
        return self.more(_AWAIT_MS)

    def more(self, _: int) -> Any:
        events = list(self._found())
        return events, self._cursor.resume_token, int(self._cursor.alive)

    def _found(self) -> Iterator[Any]:
        for _ in range(change_stream_cursor.BATCH_SIZE):
            if (event := self._cursor.try_next()) is None:
                return
            yield event

    @staticmethod
    def parse_reply(answer: Any) -> change_stream_cursor.ParsedReply:
        return change_stream_cursor.ParsedReply(*answer)


class PostBatchToken(monitoring.CommandListener):
    """Only the monitoring of commands tells the token after the events of a raw batch."""

    token: Any = None

    def started(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass

    def succeeded(self, event: Any) -> None:
        if event.command_name in ("aggregate", "getMore"):
            self.token = event.reply.get("cursor", {}).get("postBatchResumeToken") or self.token


after = PostBatchToken()


class Raw(Theirs):
    """``aggregate_raw_batches``: whole answers, taken apart and put together again before the next may be asked for."""

    def open(self, stages: Sequence[Any]) -> Any:
        self._cursor = self._collection.aggregate_raw_batches(
            stages, batchSize=change_stream_cursor.BATCH_SIZE, maxAwaitTimeMS=_AWAIT_MS
        )
        return self.more(_AWAIT_MS)

    def more(self, _: int) -> Any:
        return self._cursor.try_next() or b"", after.token, int(self._cursor.alive)

    @staticmethod
    def parse_reply(answer: Any) -> change_stream_cursor.ParsedReply:
        data, token, cursor_id = answer
        return change_stream_cursor.ParsedReply(bson.decode_all(data, OPTIONS), token, cursor_id)


if __name__ == "__main__":
    way: Any = {"watch": Watch, "raw": Raw}[sys.argv.pop(1)]
    if way is Raw:
        monitoring.register(after)
    reading.ChangeStreamCursor, reading.parse_reply = way, way.parse_reply
    main()
