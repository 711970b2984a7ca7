"""What is measured; every figure goes into the results under the name of its contender."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pymongo import MongoClient

from benchmarks import raw
from benchmarks.bridge import ROOT, Bridge
from benchmarks.contenders import DRIVERS, OTHERWISE, Peers, bridge
from benchmarks.processes import cpu_seconds, peak_megabytes
from benchmarks.results import Results
from benchmarks.world import Backlog, Make, Run, World
from bridge.demo.servers.process import poll

IDLE_SECONDS = 20
#: Nothing settled for so long, and the window is full.
FULL_SECONDS = 1.0
#: Bytes of a job, and updates beside each transition that are none.
SIZES = {
    "1 KB": (1_000, 0),
    "100 KB": (100_000, 0),
    "2 MB": (2_000_000, 0),
    "1 KB, 90 % noise": (1_000, 9),
}
#: Transitions of one and of a thousand jobs, and as many jobs as are seen once.
SPREAD, MANY = 400_000, 1_000_000
#: Jobs, or transitions, behind a backlog: MongoDB reads ahead by 4 MB of the oplog.
MORE = 10_000

#: What :mod:`benchmarks.latency` tells of each write, and how many cores MongoDB was busy with meanwhile.
Paced = tuple[list[tuple[float, float]], float]


class Measures:
    """All measurements on one world."""

    def __init__(self, world: World, results: Results) -> None:
        self._world, self._results = world, results

    def raw(self, backlog: Backlog, table: str = "throughput") -> None:
        """The limits, in this round."""
        uri = self._world.mongod.uri
        self._results.add(table, "watch()", rate=raw.watched(uri, backlog))
        self._results.add(table, "raw batches", rate=raw.batches(uri, backlog))
        self._results.add(table, "raw batches, shaped", rate=raw.batches(uri, backlog, raw.SHAPED))

    def drain(self, table: str, name: str, backlog: Backlog, make: Make) -> Run:
        """One contender over a backlog."""
        run = self._world.drain(backlog, make)
        spent = {
            f"{server}_cpu": cpu / backlog.transitions * 100_000
            for server, cpu in run.servers_cpu.items()
        }
        self._results.add(
            table,
            name,
            rate=run.rate(),
            warm_rate=run.warm_rate(),
            cpu=run.cpu_per_100k(),
            warm_cpu=run.warm_cpu_per_100k(),
            megabytes=run.megabytes,
            first=run.first,
            **spent,
        )
        return run

    def throughput(self, rounds: int, backlog: Backlog, makes: Mapping[str, Make]) -> None:
        """The raw limits and every contender in turn, round after round."""
        for _ in range(rounds):
            self.raw(backlog)
            for name, make in makes.items():
                self.drain("throughput", name, backlog, make)

    def headers(self, rounds: int, backlog: Backlog) -> None:
        for _ in range(rounds):
            for driver in DRIVERS:
                for headers in ("none", "cloudevents"):
                    self.drain(
                        "headers",
                        f"{driver}, {headers}",
                        backlog,
                        bridge(self._world, driver, headers=headers),
                    )

    def readers(self, rounds: int, backlog: Backlog) -> None:
        """A cursor read by commands, PyMongo's of raw batches and ``watch()``, all in the real loop."""
        for _ in range(rounds):
            for driver in DRIVERS:
                self.drain("readers", f"{driver}, commands", backlog, bridge(self._world, driver))
                for way, command in OTHERWISE.items():
                    self.drain(
                        "readers",
                        f"{driver}, {way}",
                        backlog,
                        bridge(self._world, driver, command=command),
                    )

    def sizes(self, rounds: int, names: Sequence[str] = tuple(SIZES)) -> None:
        """The same transitions of jobs of these sizes, and among nine other updates each."""
        for size in names:
            document, noise = SIZES[size]
            # One after the other: what is written behind a backlog is read too, before its last batch is whole.
            backlog = self._world.updates(20, 1500, document, noise)
            for _ in range(rounds):
                self._results.add(
                    "sizes",
                    f"raw batches, {size}",
                    events_rate=raw.batches(self._world.mongod.uri, backlog),
                )
                for driver in DRIVERS:
                    rate = self._world.drain(backlog, bridge(self._world, driver)).rate()
                    self._results.add(
                        "sizes",
                        f"{driver}, {size}",
                        rate=rate,
                        events_rate=rate * backlog.events / backlog.transitions,
                    )

    def growth(self, rounds: int, transitions: Sequence[int]) -> None:
        """Backlogs of any length, and of few and many jobs; of all sizes one round after the other.

        Each has more behind it than is counted: MongoDB reads ahead, through what was written later for others.
        """
        self._beside(
            rounds,
            "growth",
            {count: _first(count, self._world.backlog(count // 7 + MORE)) for count in transitions},
        )
        spread = {
            jobs: self._world.updates(jobs, (SPREAD + MORE) // jobs, 1_000, last_only=True)
            for jobs in (1, 1000)
        }
        few = {jobs: _first(SPREAD, backlog) for jobs, backlog in spread.items()}
        self._beside(
            rounds, "jobs", few | {MANY: _first(MANY, self._world.backlog(MANY + MORE, 1))}
        )

    def _beside(self, rounds: int, table: str, backlogs: Mapping[int, Backlog]) -> None:
        """Both drivers, and right before and after them what the server gives: the machine is not as fast all the time."""
        for _ in range(rounds):
            for size, backlog in backlogs.items():
                before = raw.batches(self._world.mongod.uri, backlog, raw.SHAPED)
                for driver in DRIVERS:
                    run = self._world.drain(backlog, bridge(self._world, driver))
                    after = raw.batches(self._world.mongod.uri, backlog, raw.SHAPED)
                    limit = statistics.harmonic_mean([before, after])
                    self._results.add(
                        table,
                        f"{driver}, {size}",
                        rate=run.rate(),
                        of_raw=run.rate() / limit,
                        megabytes=run.megabytes,
                    )
                    before = after

    def latency(
        self, rate: int, seconds: int, makes: Mapping[str, Make | None], rounds: int = 1
    ) -> None:
        """From just before a write to the arrival of its message; where nobody sends one (None), of its change event at a ``watch()``."""
        for _ in range(rounds):
            for name, make in makes.items():
                paced, cores = self._arrivals(rate, seconds, make)
                took, after = (sorted(one[n] for one in paced) for n in (0, 1))
                quantiles = (
                    {f"p{share}": _quantile(took, share / 100) for share in (50, 90, 99)}
                    if took
                    else {}
                )
                quantiles |= (
                    {f"after_p{share}": _quantile(after, share / 100) for share in (50, 99)}
                    if after
                    else {}
                )
                self._results.add(
                    "latency",
                    f"{name}, {rate}/s",
                    arrived=len(took) / (rate * seconds),
                    mongod_cores=cores,
                    **quantiles,
                )
                self._results.distribution(f"{name}, {rate}/s", took)

    def _arrivals(self, rate: int, seconds: int, make: Make | None) -> Paced:
        database = f"late-{time.monotonic_ns():x}"
        self._world.create(database)
        if make is None:
            return self._paced(database, rate, seconds)
        topic = self._world.topic()
        places = (self._world.kafka.bootstrap, topic)
        with make(database, topic, None) as contender:
            self._settle(contender)
            self._paced(database, min(rate, 200), 3, *places)  # warms both ends
            return self._paced(database, rate, seconds, *places)

    def _settle(self, contender: Any) -> None:
        if isinstance(contender, Bridge):
            contender.await_ready()
        else:
            time.sleep(12)

    def _paced(self, database: str, rate: int, seconds: int, *places: str) -> Paced:
        before = cpu_seconds(self._world.mongod.pid())
        command = [
            sys.executable,
            "-m",
            "benchmarks.latency",
            self._world.mongod.uri,
            database,
            str(rate),
            str(seconds),
            *places,
        ]
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        return json.loads(done.stdout), (cpu_seconds(self._world.mongod.pid()) - before) / seconds

    def start(self, rounds: int) -> None:
        """From the start of the process to ``/readyz``, and with one transition waiting to its arrival."""
        backlog = self._world.backlog(1)
        for _ in range(rounds):
            for driver in DRIVERS:
                run = self._world.drain(backlog, bridge(self._world, driver))
                self._results.add("start", driver, first=run.first)

    def idle(self, rounds: int) -> None:
        """CPU and commands to MongoDB of a bridge that has nothing to do; every five minutes mongod adds some of its own."""
        before = self._commands(IDLE_SECONDS)
        for driver in DRIVERS * rounds:
            database = f"idle-{time.monotonic_ns():x}"
            self._world.create(database)
            with bridge(self._world, driver)(database, self._world.topic(), None) as contender:
                self._settle(contender)
                time.sleep(5)
                spent = cpu_seconds(contender.pid)
                commands = self._commands(IDLE_SECONDS) - before
                self._results.add(
                    "idle",
                    driver,
                    cpu_share=(cpu_seconds(contender.pid) - spent) / IDLE_SECONDS,
                    commands=commands,
                )

    def full(self, rounds: int, backlog: Backlog) -> None:
        """The most memory it takes: with headers, and a window that is full since Kafka takes nothing for a while."""
        for driver in DRIVERS * rounds:
            self._results.add(
                "full",
                driver,
                megabytes=self._full(bridge(self._world, driver, "cloudevents"), backlog),
            )

    def _full(self, make: Make, backlog: Backlog) -> float:
        topic, kafka = self._world.topic(), self._world.kafka
        with make(backlog.database, topic, backlog.start) as contender:
            assert isinstance(contender, Bridge)
            poll(lambda: self._world.count(topic) > 0, "the first message")
            kafka.pause()
            try:
                poll(lambda: contender.oldest() > FULL_SECONDS, "a full window")
            finally:
                kafka.resume()
            poll(lambda: self._world.count(topic) >= backlog.transitions, "the last message")
            return peak_megabytes(contender.pid)

    def _commands(self, seconds: int) -> float:
        """Commands a second that MongoDB counts, from anybody."""
        with MongoClient[Any](self._world.mongod.uri) as client:
            before = _counted(client)
            time.sleep(seconds)
            return (_counted(client) - before - 1) / seconds  # the first question counts itself

    def peers(self, rounds: int, jobs: int, kinds: tuple[str, ...]) -> None:
        """The long backlog with every peer, and a shorter one with the documents looked up."""
        peers = Peers(self._world)
        for kind in kinds:
            self._results.describe(kind, peers.settings(kind, "throughput"))
        makes = {driver: bridge(self._world, driver) for driver in DRIVERS} | {
            kind: peers.make(kind) for kind in kinds
        }
        self.throughput(rounds, peers.backlog(jobs), makes)
        self._results.save()
        backlog = peers.backlog(jobs // 6)
        for kind in [
            kind for kind in kinds if kind != "mq-bridge"
        ] * rounds:  # it knows no such setting
            self.drain("lookup", kind, backlog, peers.make(kind, "lookup"))

    def latencies(self, rates: Sequence[int], rounds: int, kinds: tuple[str, ...]) -> None:
        """Every peer at 200 writes a second, and the bridge at other rates; beside them the change stream itself."""
        peers = Peers(self._world)
        own: dict[str, Make | None] = {"watch()": None} | {
            driver: bridge(self._world, driver) for driver in DRIVERS
        }
        self.latency(200, 15, own | {kind: peers.make(kind, "latency") for kind in kinds}, rounds)
        for rate in rates:
            self.latency(rate, 10, own, rounds)


def _first(count: int, backlog: Backlog) -> Backlog:
    return replace(backlog, transitions=count, events=count)


def _counted(client: MongoClient[Any]) -> int:
    counters = client.admin.command("serverStatus")["opcounters"]
    return sum(
        int(counters[name])
        for name in ("insert", "query", "update", "delete", "getmore", "command")
    )


def _quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]
