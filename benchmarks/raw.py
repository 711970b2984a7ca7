"""The raw limits: the same events, read and discarded."""

import time
from collections.abc import Sequence
from typing import Any

from bson import Timestamp
from pymongo import MongoClient

from benchmarks.world import Backlog
from bridge.model.profile import PROFILES
from bridge.mongo.stages import shaping_stages

SHAPED = shaping_stages(PROFILES["cts"])


def watched(uri: str, backlog: Backlog) -> float:
    """Events per second of ``watch()``, which decodes each event."""
    with (
        MongoClient[Any](uri) as client,
        client[backlog.database].jobs.watch(
            start_at_operation_time=Timestamp(backlog.start, 0),
            batch_size=1000,
            max_await_time_ms=500,
        ) as stream,
    ):
        began = time.monotonic()
        for _ in range(backlog.events):
            stream.next()
        return backlog.events / (time.monotonic() - began)


def batches(uri: str, backlog: Backlog, stages: Sequence[Any] = ()) -> float:
    """Events per second in undecoded batches; ``stages`` shape them on the server."""
    pipeline = [{"$changeStream": {"startAtOperationTime": Timestamp(backlog.start, 0)}}, *stages]
    wanted = backlog.transitions if stages else backlog.events
    with MongoClient[Any](uri) as client:
        began, seen = time.monotonic(), 0
        cursor: Any = client[backlog.database].jobs.aggregate_raw_batches(
            pipeline, batchSize=1000, maxAwaitTimeMS=500
        )
        with cursor:
            while seen < wanted:
                # Each event contains a single field called _data, its resume token.
                seen += (cursor.try_next() or b"").count(b"\x02_data\0")
        return wanted / (time.monotonic() - began)
