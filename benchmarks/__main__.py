"""``python -m benchmarks``: rate, CPU, memory, latency, idling and start-up, as one table.

Everything shares this machine: MongoDB, Kafka, the bridge and the clients. Absolute figures drift
with its load; the ratios are between neighbours in the same run.
"""

import json
import os
import platform
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
from bson import Timestamp
from kafka import KafkaConsumer, TopicPartition
from pymongo import MongoClient

from benchmarks.bridge import Bridge
from bridge.demo.backlog import load
from bridge.demo.mongod import Mongod
from bridge.demo.workload import HAPPY, Step, change, new_job, to_millis
from tests.servers.kafka import Kafka

JOBS, TRANSITIONS = 10_000, 7
ROUNDS = 3


class Bench:
    """One MongoDB and one Kafka for all measurements; each has its own database and topic."""

    def __init__(self, folder: Path, mongod: Mongod, kafka: Kafka) -> None:
        self._folder, self._mongod, self._kafka = folder, mongod, kafka
        self._rows: list[tuple[str, str, str]] = []

    def row(self, what: str, value: str, goal: str = "") -> None:
        self._rows.append((what, value, goal))
        click.echo(f"{what:58} {value:>34}   {goal}")

    def backlog(self, jobs: int) -> tuple[str, str, int]:
        """Write a backlog; return its database, a time before it, and how many transitions it has."""
        database = f"bench-{uuid.uuid4().hex[:8]}"
        start = datetime.now(timezone.utc) - timedelta(seconds=1)
        return database, start.isoformat(), load(self._mongod.uri, database, jobs, TRANSITIONS)

    def raw(self, database: str, start: str, count: int) -> float:
        """Events a second of the plain change stream, drained with ``watch()`` and thrown away."""
        at = Timestamp(int(datetime.fromisoformat(start).timestamp()), 0)
        with MongoClient[Any](self._mongod.uri) as client, client[database].jobs.watch(
            start_at_operation_time=at, batch_size=1000, max_await_time_ms=500
        ) as stream:
            began = time.monotonic()
            for _ in range(count):
                stream.next()
            return count / (time.monotonic() - began)

    @contextmanager
    def bridge(self, database: str, start: str = "now", **settings: str) -> Iterator[tuple[Bridge, str]]:
        topic = f"bench-{uuid.uuid4().hex[:8]}"
        self._kafka.create_topic(topic, partitions=3)
        self._kafka.create_topic(f"{topic}-dlq", partitions=1)
        given = {
            "mongo.uri": self._mongod.uri, "mongo.database": database, "kafka.bootstrap_servers": self._kafka.bootstrap,
            "kafka.topic": topic, "start.from": start, "checkpoint.name": topic,
        }
        with Bridge(self._folder, given | {name.replace("__", "."): value for name, value in settings.items()}) as bridge:
            yield bridge, topic

    def drain(self, database: str, start: str, count: int, headers: str) -> tuple[float, float, float]:
        """Rate, CPU seconds per 100 000 with start-up, and peak MB of one bridge over the backlog."""
        with self.bridge(database, start, kafka__headers=headers) as (bridge, _):
            seconds = bridge.until_acked(count)
            return count / seconds, bridge.cpu_seconds() / count * 100_000, bridge.peak_megabytes()

    def throughput(self) -> None:
        database, start, count = self.backlog(JOBS)
        raws, plain, full = [], [], []
        for _ in range(ROUNDS):
            raws.append(self.raw(database, start, count))
            plain.append(self.drain(database, start, count, "none"))
            full.append(self.drain(database, start, count, "cloudevents"))
        self.row(f"raw drain with watch(), {count} transitions", spread(raws, "{:.0f}/s"))
        for name, results in (("no headers", plain), ("CloudEvents headers", full)):
            ratios = [one[0] / raw for one, raw in zip(results, raws, strict=True)]
            self.row(f"bridge, {name}", spread([one[0] for one in results], "{:.0f}/s"))
            self.row("  of the raw drain", spread(ratios, "{:.2f}"), "0.35 without headers" if name == "no headers" else "")
            self.row("  CPU seconds per 100 000, with start-up", spread([one[1] for one in results], "{:.2f}"))
            self.row("  peak RSS", spread([one[2] for one in results], "{:.0f} MB"), "under 100 MB")

    def growth(self) -> None:
        database, start, count = self.backlog(JOBS * 10)
        rate, cpu, peak = self.drain(database, start, count, "none")
        self.row(f"ten times the backlog ({count})", f"{rate:.0f}/s, {cpu:.2f} CPU s per 100 000")
        self.row("  peak RSS", f"{peak:.0f} MB", "the same")

    def latency(self, rate: int = 200, seconds: int = 20) -> None:
        database = f"bench-{uuid.uuid4().hex[:8]}"
        with self.bridge(database) as (bridge, topic):
            took = Latency(self._mongod, self._kafka, database, topic).measure(rate, seconds)
            self.row(f"write to arrival at a consumer, {rate} writes/s, p50 / p99", quantiles(took))
            self.row("  commit to acknowledgement: share within 5 / 20 ms", histogram(bridge.metrics()), "0.5 / 0.99")
            cpu = bridge.cpu_seconds()
            time.sleep(20)
            self.row("idle CPU of a core", f"{(bridge.cpu_seconds() - cpu) / 20:.2%}", "under 1 %")

    def start(self) -> None:
        took = []
        for _ in range(5):
            with self.bridge(f"bench-{uuid.uuid4().hex[:8]}") as (bridge, _):
                took.append(bridge.start_seconds)
        self.row("start to ready", spread(took, "{:.2f} s"), "under 1.5 s")


class Latency:
    """Writes transitions at an even pace and notes when a consumer has them."""

    def __init__(self, mongod: Mongod, kafka: Kafka, database: str, topic: str) -> None:
        self._client = MongoClient[Any](mongod.uri, w="majority", tz_aware=True)
        self._jobs = self._client[database].jobs
        self._consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=None)
        self._consumer.assign([TopicPartition(topic, partition) for partition in range(3)])
        self._consumer.seek_to_beginning()

    def measure(self, rate: int, seconds: int) -> list[float]:
        """Seconds from just before a write to its message's arrival, one for each write, sorted."""
        written: dict[str, float] = {}
        arrived: dict[str, float] = {}
        count = rate * seconds

        def consume() -> None:
            while len(arrived) < count:
                for records in self._consumer.poll(timeout_ms=200).values():
                    now = time.monotonic()
                    arrived.update({json.loads(record.value)["trans_id"]: now for record in records})

        thread = threading.Thread(target=consume, daemon=True)
        thread.start()
        self._write(count, rate, written)
        thread.join(60)
        self._consumer.close()
        self._client.close()
        return sorted(arrived[trans_id] - at for trans_id, at in written.items())

    def _write(self, count: int, rate: int, written: dict[str, float]) -> None:
        began, job = time.monotonic(), new_job("kbase", to_millis(datetime.now(timezone.utc)), [])
        for n in range(count):
            time.sleep(max(0.0, began + n / rate - time.monotonic()))
            now = to_millis(datetime.now(timezone.utc))
            step = n % TRANSITIONS
            if step == 0:
                job = new_job("kbase", now, [])
                written[job["transition_times"][0]["trans_id"]] = time.monotonic()
                self._jobs.insert_one(job)
            else:
                trans_id = str(uuid.uuid4())
                written[trans_id] = time.monotonic()
                self._jobs.update_one({"_id": job["_id"]}, change(Step(HAPPY[step]), now, trans_id))


def spread(values: list[float], form: str) -> str:
    """Median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} ({form.format(low)} - {form.format(high)})"


def quantiles(values: list[float]) -> str:
    return f"{values[len(values) // 2] * 1000:.1f} / {values[int(len(values) * 0.99)] * 1000:.1f} ms"


def histogram(metrics: str) -> str:
    """Shares of the bridge's own latency histogram."""
    counts = {
        line.split('"')[1]: float(line.split()[1]) for line in metrics.splitlines()
        if line.startswith("job_bridge_delivery_latency_seconds_bucket")
    }
    return f"{counts['0.005'] / counts['+Inf']:.3f} / {counts['0.02'] / counts['+Inf']:.3f}"


@click.command()
@click.option("--only", type=click.Choice(["throughput", "growth", "latency", "start"]), multiple=True)
def main(only: tuple[str, ...]) -> None:
    """Measure the bridge on this machine."""
    click.echo(f"{datetime.now(timezone.utc):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="job-bridge-bench-") as name:
        folder = Path(name)
        with Mongod(folder / "mongod", oplog_megabytes=4000) as mongod, Kafka(folder / "kafka") as kafka:
            bench = Bench(folder, mongod, kafka)
            parts: dict[str, Callable[[], None]] = {
                "start": bench.start, "latency": bench.latency, "throughput": bench.throughput, "growth": bench.growth,
            }
            for part, measure in parts.items():
                if not only or part in only:
                    measure()


main()
