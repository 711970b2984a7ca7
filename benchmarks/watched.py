"""The bridge as it is, but reading with ``watch()``: ``python -m benchmarks.watched run``.

Shows what whole batches are worth in the real loop. Not for use: the tests are not run on it.
"""

from collections.abc import Iterator
from typing import Any

import bson

from bridge.cli import main
from bridge.model.position import Position
from bridge.source import stream as reading

#: Its private parts are what is changed.
stream: Any = reading


class _Decoded:
    """Stands in for the library where ``watch()`` has decoded already."""

    timestamp = bson.timestamp

    @staticmethod
    def decode_all(data: Any, options: Any) -> Any:
        return data if isinstance(data, list) else bson.decode_all(data, options)


def _fetch(self: Any, await_ms: int) -> Iterator[Any]:
    position: Position = self._position
    if position.token:
        start: dict[str, Any] = {"start_after": stream._token(position)}
    else:
        start = {"start_at_operation_time": bson.timestamp.Timestamp(*position.cluster_time)}
    with self._collection.watch(self._stages, batch_size=stream.BATCH_SIZE, max_await_time_ms=await_ms, **start) as events:
        while events.alive and not self._closing.is_set():
            found: list[Any] = []
            while len(found) < stream.BATCH_SIZE and (event := events.try_next()) is not None:
                found.append(event)
            token = events.resume_token
            yield stream._Fetched(found, max(position, stream.position_in(token)) if token else position)


if __name__ == "__main__":
    stream.bson = _Decoded
    stream.ChangeStream._fetch = _fetch
    main()
