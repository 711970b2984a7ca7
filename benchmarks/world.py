"""Shared by all contenders: MongoDB, Kafka, the backlogs, and the count of arrivals."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Protocol

from kafka import KafkaConsumer, TopicPartition
from pymongo import MongoClient, UpdateOne

from benchmarks.processes import cpu_seconds, peak_megabytes
from benchmarks.readers import read_count
from bridge.demo.job_service.workload import HAPPY, Step, change, input_files, new_job, to_millis
from tests.support.backlog import load
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment

PARTITIONS = 3
_COUNT_SECONDS = 0.04
#: After this time without another arrival the messages of transactions are read and counted.
_QUIET_SECONDS = 1.0
#: Threads that write updates; a small update costs the client more than MongoDB.
_WRITERS = 2
_DRAIN_SECONDS = 300.0
#: Characters of a contender's log in an error.
_LOG_TAIL = 2000


@dataclass(frozen=True, slots=True)
class Backlog:
    """Transitions in the oplog since ``start`` (Unix seconds); ``events`` includes the noise."""

    database: str
    start: int
    transitions: int
    events: int


class Contender(Protocol):
    """A process that publishes."""

    @property
    def pid(self) -> int: ...

    @property
    def running(self) -> bool: ...


#: Makes a contender for a database, a topic and a start in Unix seconds (None for now).
Make = Callable[[str, str, int | None], AbstractContextManager[Contender]]


@dataclass(slots=True)
class Run:
    """A contender's run over a backlog, until the last arrival.

    ``arrivals`` are pairs of seconds since the start of the process and messages in the topic.
    """

    transitions: int
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    cpu: float = 0.0
    cpu_at_half: float = 0.0
    megabytes: float = 0.0
    servers_cpu: dict[str, float] = field(default_factory=dict)

    @property
    def first(self) -> float:
        return self.arrivals[0][0]

    def rate(self) -> float:
        """Messages per second, from the first arrival to the last."""
        return self._rate(*self.arrivals[0])

    def warm_rate(self) -> float:
        """Messages per second, in the second half."""
        return self._rate(*self._half())

    def cpu_per_100k(self) -> float:
        return self.cpu / self.transitions * 100_000

    def warm_cpu_per_100k(self) -> float:
        _, count = self._half()
        return (self.cpu - self.cpu_at_half) / (self.transitions - count) * 100_000

    def leave_out_markers(self) -> None:
        """Scale the arrivals, so that the last is the number of transitions.

        The end of a transaction is a record of its own in each partition.
        """
        last = self.arrivals[-1][1]
        self.arrivals = [
            (seconds, count * self.transitions // last) for seconds, count in self.arrivals
        ]

    def _half(self) -> tuple[float, int]:
        return next(
            (seconds, count) for seconds, count in self.arrivals if count * 2 >= self.transitions
        )

    def _rate(self, start: float, start_count: int) -> float:
        end, count = self.arrivals[-1]
        return (count - start_count) / (end - start) if end > start else float("nan")


class World:
    """Makes backlogs and topics, and runs contenders."""

    def __init__(self, folder: Path, mongod: MongoDeployment, kafka: Kafka) -> None:
        self.folder, self.mongod, self.kafka = folder, mongod, kafka
        self._consumer = KafkaConsumer(
            bootstrap_servers=kafka.bootstrap, group_id=None, isolation_level="read_committed"
        )

    def close(self) -> None:
        self._consumer.close()

    def backlog(
        self, jobs: int, transitions: int = 7, before: Callable[[str], None] = lambda _: None
    ) -> Backlog:
        """Jobs of about 2 KB with an insert and ``transitions`` - 1 updates each.

        ``before`` is called with the database's name before the first write.
        """
        database = _fresh()
        before(database)
        time.sleep(2.1)  # The start is in whole seconds.
        start = _now()
        count = load(self.mongod.uri, database, jobs, transitions)
        return Backlog(database, start, count, count)

    def updates(
        self, jobs: int, transitions: int, size: int, noise: int = 0, *, last_only: bool = False
    ) -> Backlog:
        """Updates of existing jobs: each is a transition, followed by ``noise`` other updates.

        ``last_only`` overwrites the same element of the history, so that a job can have any
        number of transitions.
        """
        database = _fresh()
        with MongoClient[Any](self.mongod.uri, tz_aware=True) as client:
            collection = client[database].jobs
            now = to_millis(datetime.now(timezone.utc))
            documents = [new_job("kbase", now, input_files(size)) for _ in range(jobs)]
            for document in documents:
                collection.insert_one(document)
            time.sleep(1.1)  # The start is in whole seconds.
            start = _now()
            keys = [document["_id"] for document in documents]

            def write(share: Sequence[Any]) -> None:
                updates = _writes(share, transitions, noise, now, last_only=last_only)
                for chunk in _chunks(updates, 500):
                    collection.bulk_write(chunk)

            with ThreadPoolExecutor(_WRITERS) as pool:
                list(pool.map(write, (keys[number::_WRITERS] for number in range(_WRITERS))))
        count = jobs * transitions
        return Backlog(database, start, count, count * (1 + noise))

    def create(self, database: str) -> None:
        """Create the empty collection of jobs."""
        with MongoClient[Any](self.mongod.uri) as client:
            client[database].create_collection("jobs")

    def topic(self) -> str:
        """Create a topic, its dead-letter topic and its state topic; return its name."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self.kafka.create_topic(name, partitions=PARTITIONS)
        self.kafka.create_topic(f"{name}-dlq", partitions=1)
        self.kafka.create_topic(f"{name}-bridge-state", partitions=1, cleanup_policy="compact")
        return name

    def drain(self, backlog: Backlog, make: Make, *, transactional: bool = False) -> Run:
        """Run a contender until the topic contains the whole backlog.

        Args:
            backlog: the transitions.
            make: the contender.
            transactional: whether the offsets of the topic include markers of transactions.

        Raises:
            RuntimeError: the contender ended.
            TimeoutError: the backlog did not arrive in time.
        """
        topic, run = self.topic(), Run(backlog.transitions)
        before, began = self._servers_cpu(), time.monotonic()
        with make(backlog.database, topic, backlog.start) as contender:
            for count in self._counts(topic):
                seconds = time.monotonic() - began
                if count and (not run.arrivals or count > run.arrivals[-1][1]):
                    run.arrivals.append((seconds, count))
                    run.cpu, spent = cpu_seconds(contender.pid), self._servers_cpu()
                if not run.cpu_at_half and count * 2 >= backlog.transitions:
                    run.cpu_at_half = run.cpu
                if count >= backlog.transitions and (
                    not transactional or self._has_all(topic, run, seconds)
                ):
                    break
                if not contender.running:
                    log = self.folder / f"{topic}.log"
                    raise RuntimeError(f"the contender ended: {log.read_text()[-_LOG_TAIL:]}")
                if seconds > _DRAIN_SECONDS:
                    raise TimeoutError(f"only {count} of {backlog.transitions} arrived")
            run.megabytes = peak_megabytes(contender.pid)
        run.servers_cpu = {name: spent[name] - before[name] for name in before}
        run.leave_out_markers()
        return run

    def _has_all(self, topic: str, run: Run, seconds: float) -> bool:
        """Whether nothing more arrives, and all messages can be read."""
        if seconds - run.arrivals[-1][0] < _QUIET_SECONDS:
            return False
        return read_count(self.kafka.bootstrap, topic) >= run.transitions

    def count(self, topic: str) -> int:
        """The number of committed records in the topic, including the markers of transactions."""
        return sum(
            self._consumer.end_offsets(
                [TopicPartition(topic, number) for number in range(PARTITIONS)]
            ).values()
        )

    def _counts(self, topic: str) -> Iterator[int]:
        while True:
            yield self.count(topic)
            time.sleep(_COUNT_SECONDS)

    def _servers_cpu(self) -> Mapping[str, float]:
        return {
            "mongod": cpu_seconds(self.mongod.pid()),
            "kafka": cpu_seconds(self.kafka.pid),
        }


@dataclass(frozen=True, slots=True)
class Route:
    """The collection that a contender reads and the topic it writes.

    ``start`` is in Unix seconds; None for now.
    """

    world: World
    database: str
    topic: str
    start: int | None


def _fresh() -> str:
    return f"bench-{uuid.uuid4().hex[:8]}"


def _now() -> int:
    return int((datetime.now(timezone.utc) - timedelta(seconds=1)).timestamp())


def _writes(
    keys: Sequence[Any], transitions: int, noise: int, now: datetime, *, last_only: bool
) -> Iterator[UpdateOne]:
    for number in range(transitions):
        step, time_ = (
            Step(HAPPY[1 + number % (len(HAPPY) - 1)]),
            now + timedelta(milliseconds=number + 1),
        )
        for key in keys:
            update = change(step, time_, str(uuid.uuid4()))
            if last_only:
                update = {
                    "$set": {
                        **update["$set"],
                        "transition_times.1": update["$push"]["transition_times"],
                    }
                }
            yield UpdateOne({"_id": key}, update)
            for other in range(noise):
                yield UpdateOne({"_id": key}, {"$set": {"admin_meta.seen": f"{number}.{other}"}})


def _chunks(writes: Iterator[UpdateOne], size: int) -> Iterator[list[UpdateOne]]:
    while chunk := list(itertools.islice(writes, size)):
        yield chunk
