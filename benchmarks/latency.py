"""Writes transitions at an even pace and notes when a consumer has them; a process of its own, to disturb nothing else.

``python -m benchmarks.latency URI DATABASE RATE SECONDS [BOOTSTRAP TOPIC]`` prints two figures for each write as JSON, in
milliseconds: from just before it to the arrival of its message, and what of that was after the write was acknowledged.
Without a topic it is the arrival of the change event itself, at a ``watch()``.
"""

import json
import re
import sys
import threading
import time
import uuid
from collections.abc import Generator
from datetime import datetime, timezone
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from pymongo import InsertOne, MongoClient, UpdateOne

from benchmarks.world import PARTITIONS
from bridge.demo.job_service.workload import HAPPY, Step, change, new_job, to_millis

_LATE_SECONDS = 15.0
_LOOK_SECONDS = 0.5
#: Single writes a thread keeps up with; above that it writes groups.
_THREAD_RATE, _SINGLE_RATE = 100, 1000
_GROUP = 10


class Latency:
    """One measurement; every message is known by the ``trans_id`` in its text, whoever sent it."""

    def __init__(self, uri: str, database: str, *topic: str) -> None:
        self._client = MongoClient[Any](uri, w="majority", tz_aware=True)
        self._jobs = self._client[database].jobs
        self._mark = f"late-{uuid.uuid4().hex[:8]}-"
        self._written: dict[int, float] = {}
        self._acknowledged: dict[int, float] = {}
        self._arrived: dict[int, float] = {}
        self._over = threading.Event()
        self._arrivals = self._messages(*topic) if topic else self._events()
        next(self._arrivals)  # ready for the first

    def measure(self, rate: int, seconds: int) -> list[tuple[float, float]]:
        """Milliseconds, in the order of the writes; what did not arrive is missing.

        A message that arrives before its write is acknowledged took nothing after it.
        """
        count = rate * seconds
        consumer = threading.Thread(target=self._consume, args=(count,), daemon=True)
        consumer.start()
        group = 1 if rate <= _SINGLE_RATE else _GROUP
        writers = max(1, rate // group // _THREAD_RATE)
        began = time.monotonic() + 0.5
        threads = [
            threading.Thread(target=self._write, args=(number, writers, group, rate, count, began))
            for number in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        consumer.join(_LATE_SECONDS)
        self._over.set()  # a consumer that is closed while it is asked may never answer
        consumer.join()
        self._client.close()
        return [
            (
                (self._arrived[n] - at) * 1000,
                max(0.0, self._arrived[n] - self._acknowledged[n]) * 1000,
            )
            for n, at in sorted(self._written.items())
            if n in self._arrived
        ]

    def _consume(self, count: int) -> None:
        mark = re.compile(self._mark + r"(\d+)")
        while len(self._arrived) < count and not self._over.is_set():
            text = next(self._arrivals)
            now = time.monotonic()
            for number in mark.findall(text):  # a whole document tells those before again
                self._arrived.setdefault(int(number), now)
        self._arrivals.close()

    def _messages(self, bootstrap: str, topic: str) -> Generator[str]:
        """What a consumer gets, one by one; empty when nothing came for a while."""
        consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "latency", "enable.auto.commit": False}
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        try:
            yield ""
            while True:
                # Waiting for several would wait for the last of them.
                message = consumer.poll(_LOOK_SECONDS)
                yield (message.value() or b"").decode("utf-8", "replace") if message else ""
        finally:
            consumer.close()

    def _events(self) -> Generator[str]:
        """What the change stream tells, one by one; empty when nothing came for a while."""
        with self._jobs.watch(max_await_time_ms=int(_LOOK_SECONDS * 1000)) as stream:
            yield ""
            while True:
                event = stream.try_next() or {}
                told = [
                    *event.get("updateDescription", {}).get("updatedFields", {}).values(),
                    *event.get("fullDocument", {}).get("transition_times", []),
                ]
                yield "".join(each.get("trans_id", "") for each in told if isinstance(each, dict))

    def _write(
        self, first: int, writers: int, group: int, rate: int, count: int, began: float
    ) -> None:
        jobs: list[Any] = []
        for turn, number in enumerate(range(first * group, count, writers * group)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            time_, state = to_millis(datetime.now(timezone.utc)), HAPPY[turn % len(HAPPY)]
            mine = range(number, number + group)
            trans_ids = [f"{self._mark}{n:07d}" for n in mine]
            writes: list[InsertOne[Any] | UpdateOne]
            if (
                state == HAPPY[0]
            ):  # as many transitions as a job has: with a thousand in one, writing would take longer and longer
                jobs = [_created(time_, trans_id) for trans_id in trans_ids]
                writes = [InsertOne(job) for job in jobs]
            else:
                writes = [
                    UpdateOne({"_id": job["_id"]}, change(Step(state), time_, trans_id))
                    for job, trans_id in zip(jobs, trans_ids, strict=True)
                ]
            self._written |= dict.fromkeys(mine, time.monotonic())
            self._jobs.bulk_write(writes, ordered=False)
            self._acknowledged |= dict.fromkeys(mine, time.monotonic())


def _created(time_: datetime, trans_id: str) -> dict[str, Any]:
    job = new_job("kbase", time_, [])
    job["transition_times"][0]["trans_id"] = trans_id
    return job


if __name__ == "__main__":
    source, name, asked, lasting, *places = sys.argv[1:]
    json.dump(Latency(source, name, *places).measure(int(asked), int(lasting)), sys.stdout)
