"""Measurements over a backlog: rate, CPU and memory until everything is published."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks import raw
from benchmarks.bridge import MeasuredBridge
from benchmarks.contenders import (
    DRIVERS,
    LOOKING_UP,
    READERS,
    Peers,
    bridge,
    own_makes,
    sends_transactions,
)
from benchmarks.processes import peak_megabytes
from benchmarks.results import PEERS_FILE, Results
from benchmarks.world import Backlog, Make, Run, World
from bridge.demo.servers.process import poll

#: Bytes of a job, and updates beside each transition that are not transitions.
SIZES = {
    "1 KB": (1_000, 0),
    "100 KB": (100_000, 0),
    "2 MB": (2_000_000, 0),
    "1 KB, 90 % noise": (1_000, 9),
}
#: When the oldest message has been in flight this long, the window is full.
_FULL_SECONDS = 1.0
#: Transitions of the backlogs with 1 and with 1 000 jobs.
_FEW_JOBS_TRANSITIONS = 400_000
#: Jobs of the backlog with a single transition per job.
_MANY_JOBS = 1_000_000
#: Jobs (or transitions) after a counted backlog: MongoDB reads ahead by 4 MB of the oplog.
_READ_AHEAD = 10_000


class BacklogMeasures:
    """Measures contenders over backlogs, and stores the figures under their names."""

    def __init__(self, world: World, results: Results) -> None:
        self._world = world
        self._results = results

    def throughput(self, rounds: int, backlog: Backlog, makes: Mapping[str, Make]) -> None:
        """The raw limits and every contender, in alternating rounds."""
        for _ in range(rounds):
            self._raw(backlog)
            for name, make in makes.items():
                self._drain("throughput", name, backlog, make)

    def peers(self, rounds: int, jobs: int, kinds: tuple[str, ...]) -> None:
        """The bridge and every connector; then the connectors with document lookup."""
        peers = Peers(self._world)
        for kind in kinds:
            self._results.settings[kind] = peers.settings(kind, "throughput")
        makes = own_makes(self._world) | {kind: peers.make(kind) for kind in kinds}
        self.throughput(rounds, peers.backlog(jobs, kinds), makes)
        self._results.save(PEERS_FILE)
        looking_up = [kind for kind in kinds if kind in LOOKING_UP]
        backlog = peers.backlog(jobs // 6, looking_up)
        for kind in looking_up * rounds:
            self._drain("lookup", kind, backlog, peers.make(kind, "lookup"))

    def headers(self, rounds: int, backlog: Backlog) -> None:
        """Each driver with and without CloudEvents headers."""
        for _ in range(rounds):
            for driver in DRIVERS:
                for headers in ("none", "cloudevents"):
                    make = bridge(self._world, driver, headers)
                    self._drain("headers", f"{driver}, {headers}", backlog, make)

    def readers(self, rounds: int, backlog: Backlog) -> None:
        """The bridge with its own cursor and with each of PyMongo's."""
        for _ in range(rounds):
            for driver in DRIVERS:
                self._drain("readers", f"{driver}, commands", backlog, bridge(self._world, driver))
                for reader, command in READERS.items():
                    make = bridge(self._world, driver, command=command)
                    self._drain("readers", f"{driver}, {reader}", backlog, make)

    def sizes(self, rounds: int, names: Sequence[str] = tuple(SIZES)) -> None:
        """The same transitions with jobs of each size, and among other updates."""
        for size in names:
            document, noise = SIZES[size]
            # A backlog per turn: the stream also reads the writes that follow it in the oplog.
            backlog = self._world.updates(20, 1500, document, noise)
            for _ in range(rounds):
                limit = raw.batches(self._world.mongod.uri, backlog)
                self._results.add("sizes", f"raw batches, {size}", events_rate=limit)
                for driver in DRIVERS:
                    rate = self._world.drain(backlog, bridge(self._world, driver)).rate()
                    events_rate = rate * backlog.events / backlog.transitions
                    self._results.add(
                        "sizes", f"{driver}, {size}", rate=rate, events_rate=events_rate
                    )

    def growth(self, rounds: int, transitions: Sequence[int]) -> None:
        """Backlogs of each length, then backlogs of few and of many jobs.

        Each backlog is followed by more writes than are counted, because MongoDB reads ahead.
        """
        backlogs = {
            count: _first(count, self._world.backlog(count // 7 + _READ_AHEAD))
            for count in transitions
        }
        self._beside_raw(rounds, "growth", backlogs)
        total = _FEW_JOBS_TRANSITIONS + _READ_AHEAD
        few = {
            jobs: _first(
                _FEW_JOBS_TRANSITIONS,
                self._world.updates(jobs, total // jobs, 1_000, last_only=True),
            )
            for jobs in (1, 1000)
        }
        many = _first(_MANY_JOBS, self._world.backlog(_MANY_JOBS + _READ_AHEAD, 1))
        self._beside_raw(rounds, "jobs", {**few, _MANY_JOBS: many})

    def start(self, rounds: int) -> None:
        """Seconds from the start of the process to the arrival of a waiting transition."""
        backlog = self._world.backlog(1)
        for _ in range(rounds):
            for driver in DRIVERS:
                run = self._world.drain(backlog, bridge(self._world, driver))
                self._results.add("start", driver, first=run.first)

    def full(self, rounds: int, backlog: Backlog) -> None:
        """Peak memory with headers and a full window, while Kafka is paused."""
        for driver in DRIVERS * rounds:
            megabytes = self._full(bridge(self._world, driver, "cloudevents"), backlog)
            self._results.add("full", driver, megabytes=megabytes)

    def _raw(self, backlog: Backlog) -> None:
        uri = self._world.mongod.uri
        self._results.add("throughput", "watch()", rate=raw.watched(uri, backlog))
        self._results.add("throughput", "raw batches", rate=raw.batches(uri, backlog))
        shaped = raw.batches(uri, backlog, raw.SHAPED)
        self._results.add("throughput", "raw batches, shaped", rate=shaped)

    def _drain(self, table: str, name: str, backlog: Backlog, make: Make) -> Run:
        run = self._world.drain(backlog, make, transactional=sends_transactions(name))
        servers = {
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
            **servers,
        )
        return run

    def _beside_raw(self, rounds: int, table: str, backlogs: Mapping[int, Backlog]) -> None:
        """Both drivers between raw reads, because the speed of the machine varies."""
        uri = self._world.mongod.uri
        for _ in range(rounds):
            for size, backlog in backlogs.items():
                before = raw.batches(uri, backlog, raw.SHAPED)
                for driver in DRIVERS:
                    run = self._world.drain(backlog, bridge(self._world, driver))
                    after = raw.batches(uri, backlog, raw.SHAPED)
                    limit = statistics.harmonic_mean([before, after])
                    self._results.add(
                        table,
                        f"{driver}, {size}",
                        rate=run.rate(),
                        of_raw=run.rate() / limit,
                        megabytes=run.megabytes,
                    )
                    before = after

    def _full(self, make: Make, backlog: Backlog) -> float:
        topic, kafka = self._world.topic(), self._world.kafka
        with make(backlog.database, topic, backlog.start) as contender:
            assert isinstance(contender, MeasuredBridge)
            poll(lambda: self._world.count(topic) > 0, "the first message")
            kafka.pause()
            try:
                poll(lambda: contender.oldest_in_flight() > _FULL_SECONDS, "a full window")
            finally:
                kafka.resume()
            poll(lambda: self._world.count(topic) >= backlog.transitions, "the last message")
            return peak_megabytes(contender.pid)


def _first(count: int, backlog: Backlog) -> Backlog:
    return replace(backlog, transitions=count, events=count)
