"""Writes transitions at an even pace and records their arrival at a read_committed consumer.

``python -m benchmarks.latency URI DATABASE RATE SECONDS [BOOTSTRAP TOPIC]`` runs in a process of
its own. It prints, as JSON and in milliseconds, two figures per write: from just before the write
to the arrival of its message, and the share of that after the write's acknowledgement. Without a
topic it measures the arrival of the change event at ``watch()``.
"""

import json
import re
import sys
import threading
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from confluent_kafka import TopicPartition
from pymongo import InsertOne, MongoClient, UpdateOne

from benchmarks.readers import make_consumer
from benchmarks.world import PARTITIONS
from bridge.demo.job_service.workload import HAPPY, Step, change, new_job, to_millis

#: How long to wait for messages after the last write.
_LATE_SECONDS = 15.0
_POLL_SECONDS = 0.5
#: Writes per second of a thread.
_THREAD_RATE = 100
#: Above this rate, writes are sent in groups.
_SINGLE_RATE = 1000
_GROUP = 10


@dataclass(frozen=True, slots=True)
class WritePace:
    """When each write is due.

    Attributes:
        rate: writes per second.
        count: all writes.
        start: monotonic seconds of the first write.
    """

    rate: int
    count: int
    start: float

    @property
    def group(self) -> int:
        return 1 if self.rate <= _SINGLE_RATE else _GROUP

    @property
    def writers(self) -> int:
        return max(1, self.rate // self.group // _THREAD_RATE)


class Latency:
    """A measurement; the ``trans_id`` in its text identifies the message of any contender."""

    def __init__(self, uri: str, database: str, *topic: str) -> None:
        self._client = MongoClient[Any](uri, w="majority", tz_aware=True)
        self._jobs = self._client[database].jobs
        self._mark = f"late-{uuid.uuid4().hex[:8]}-"
        self._written: dict[int, float] = {}
        self._acknowledged: dict[int, float] = {}
        self._arrived: dict[int, float] = {}
        self._done = threading.Event()
        self._arrivals = self._messages(*topic) if topic else self._events()
        next(self._arrivals)  # Subscribes before the first write.

    def measure(self, rate: int, seconds: int) -> list[tuple[float, float]]:
        """Return both figures of each message that arrived, in the order of the writes.

        The second figure is 0 for a message that arrives before its write is acknowledged.
        """
        pace = WritePace(rate, rate * seconds, time.monotonic() + 0.5)
        consumer = threading.Thread(target=self._consume, args=(pace.count,), daemon=True)
        consumer.start()
        threads = [
            threading.Thread(target=self._write, args=(number, pace))
            for number in range(pace.writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        consumer.join(_LATE_SECONDS)
        # A consumer that is closed during a poll may never return from it.
        self._done.set()
        consumer.join()
        self._client.close()
        return [
            (
                (self._arrived[number] - written) * 1000,
                max(0.0, self._arrived[number] - self._acknowledged[number]) * 1000,
            )
            for number, written in sorted(self._written.items())
            if number in self._arrived
        ]

    def _consume(self, count: int) -> None:
        mark = re.compile(self._mark + r"(\d+)")
        while len(self._arrived) < count and not self._done.is_set():
            text = next(self._arrivals)
            now = time.monotonic()
            # A whole document repeats the earlier transitions of its job.
            for number in mark.findall(text):
                self._arrived.setdefault(int(number), now)
        self._arrivals.close()

    def _messages(self, bootstrap: str, topic: str) -> Generator[str]:
        """The text of each message; empty when no message arrived for a while."""
        consumer = make_consumer(bootstrap)
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        try:
            yield ""
            while True:
                # A poll for several messages would wait for the last of them.
                message = consumer.poll(_POLL_SECONDS)
                yield (message.value() or b"").decode("utf-8", "replace") if message else ""
        finally:
            consumer.close()

    def _events(self) -> Generator[str]:
        """The ``trans_id`` of each change event; empty when no event arrived for a while."""
        with self._jobs.watch(max_await_time_ms=int(_POLL_SECONDS * 1000)) as stream:
            yield ""
            while True:
                event = stream.try_next() or {}
                values = [
                    *event.get("updateDescription", {}).get("updatedFields", {}).values(),
                    *event.get("fullDocument", {}).get("transition_times", []),
                ]
                yield "".join(
                    value.get("trans_id", "") for value in values if isinstance(value, dict)
                )

    def _write(self, writer: int, pace: WritePace) -> None:
        """Write every n-th group, where n is the number of writers."""
        jobs: list[Any] = []
        group = pace.group
        firsts = range(writer * group, pace.count, pace.writers * group)
        for turn, first in enumerate(firsts):
            time.sleep(max(0.0, pace.start + first / pace.rate - time.monotonic()))
            numbers = range(first, first + group)
            trans_ids = [f"{self._mark}{number:07d}" for number in numbers]
            now, state = to_millis(datetime.now(timezone.utc)), HAPPY[turn % len(HAPPY)]
            writes: list[InsertOne[Any] | UpdateOne]
            # New jobs after each cycle of states: a growing history would slow the writes down.
            if state == HAPPY[0]:
                jobs = [_created(now, trans_id) for trans_id in trans_ids]
                writes = [InsertOne(job) for job in jobs]
            else:
                writes = [
                    UpdateOne({"_id": job["_id"]}, change(Step(state), now, trans_id))
                    for job, trans_id in zip(jobs, trans_ids, strict=True)
                ]
            self._written |= dict.fromkeys(numbers, time.monotonic())
            self._jobs.bulk_write(writes, ordered=False)
            self._acknowledged |= dict.fromkeys(numbers, time.monotonic())


def _created(time_: datetime, trans_id: str) -> dict[str, Any]:
    job = new_job("kbase", time_, [])
    job["transition_times"][0]["trans_id"] = trans_id
    return job


if __name__ == "__main__":
    uri, database, rate, seconds, *topic = sys.argv[1:]
    json.dump(Latency(uri, database, *topic).measure(int(rate), int(seconds)), sys.stdout)
