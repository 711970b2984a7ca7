"""Measurements at an even pace: latency at given rates, and the cost of an idle bridge."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pymongo import MongoClient

from benchmarks.bridge import MeasuredBridge
from benchmarks.connect_exactly_once import ExactlyOnceConnect
from benchmarks.contenders import DRIVERS, Peers, bridge, own_makes
from benchmarks.processes import cpu_seconds
from benchmarks.results import ROOT, Results
from benchmarks.world import Contender, Make, World

#: The rate at which every contender is measured, and whose distribution is stored.
_COMMON_RATE = 200
_IDLE_SECONDS = 20
_CONNECTOR_START_SECONDS = 12
_COUNTED_COMMANDS = ("insert", "query", "update", "delete", "getmore", "command")


@dataclass(frozen=True, slots=True)
class _Paced:
    """Pairs of latencies per write (see :mod:`benchmarks.latency`), and CPU in cores."""

    pairs: list[tuple[float, float]]
    mongod_cores: float
    cores: float | None = None


class PacedMeasures:
    """Measures contenders at an even pace, and stores the figures under their names."""

    def __init__(self, world: World, results: Results) -> None:
        self._world = world
        self._results = results

    def latencies(self, rates: Sequence[int], rounds: int, kinds: tuple[str, ...]) -> None:
        """Every contender at 200 writes/s; the bridge and ``watch()`` at the other rates too."""
        peers = Peers(self._world)
        own: dict[str, Make | None] = {"watch()": None} | {
            driver: bridge(self._world, driver) for driver in DRIVERS
        }
        connectors = {kind: peers.make(kind, "latency") for kind in kinds}
        self.latency(_COMMON_RATE, 15, own | own_makes(self._world) | connectors, rounds)
        for rate in rates:
            self.latency(rate, 10, own, rounds)

    def latency(
        self, rate: int, seconds: int, makes: Mapping[str, Make | None], rounds: int = 1
    ) -> None:
        """From just before a write to the arrival of its message.

        A contender of None is ``watch()``: the arrival of the change event itself.
        """
        for _ in range(rounds):
            for name, make in makes.items():
                paced = self._arrivals(rate, seconds, make)
                latencies = sorted(latency for latency, _ in paced.pairs)
                after = sorted(after for _, after in paced.pairs)
                self._results.add(
                    "latency",
                    f"{name}, {rate}/s",
                    arrived=len(paced.pairs) / (rate * seconds),
                    mongod_cores=paced.mongod_cores,
                    **({} if paced.cores is None else {"cores": paced.cores}),
                    **_quantiles("p", latencies, (50, 90, 99)),
                    **_quantiles("after_p", after, (50, 99)),
                )
                if rate == _COMMON_RATE:
                    self._results.add_distribution(f"{name}, {rate}/s", latencies)

    def idle(self, rounds: int) -> None:
        """CPU of an idle bridge, and its commands to MongoDB per second.

        mongod adds some commands of its own every five minutes.
        """
        background = self._commands()
        for driver in DRIVERS * rounds:
            database = f"idle-{time.monotonic_ns():x}"
            self._world.create(database)
            with bridge(self._world, driver)(database, self._world.topic(), None) as contender:
                _await_start(contender)
                time.sleep(5)
                before = cpu_seconds(contender.pid)
                commands = self._commands() - background
                share = (cpu_seconds(contender.pid) - before) / _IDLE_SECONDS
                self._results.add("idle", driver, cpu_share=share, commands=commands)

    def _arrivals(self, rate: int, seconds: int, make: Make | None) -> _Paced:
        database = f"late-{time.monotonic_ns():x}"
        self._world.create(database)
        if make is None:
            return self.paced(database, rate, seconds)
        topic = self._world.topic()
        target = (self._world.kafka.bootstrap, topic)
        with make(database, topic, None) as contender:
            _await_start(contender)
            # The first writes warm up both ends; they are not counted.
            self.paced(database, min(rate, 200), 3, *target)
            before = cpu_seconds(contender.pid)
            paced = self.paced(database, rate, seconds, *target)
            return replace(paced, cores=(cpu_seconds(contender.pid) - before) / seconds)

    def paced(self, database: str, rate: int, seconds: int, *target: str) -> _Paced:
        """Run :mod:`benchmarks.latency` in a process of its own."""
        mongod = self._world.mongod
        before = cpu_seconds(mongod.pid())
        arguments = (mongod.uri, database, str(rate), str(seconds), *target)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.latency", *arguments],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        return _Paced(json.loads(done.stdout), (cpu_seconds(mongod.pid()) - before) / seconds)

    def _commands(self) -> float:
        """Commands per second that MongoDB counts, from all clients."""
        with MongoClient[Any](self._world.mongod.uri) as client:
            before = _counted(client)
            time.sleep(_IDLE_SECONDS)
            # The first query of the counters counts itself.
            return (_counted(client) - before - 1) / _IDLE_SECONDS


def _await_start(contender: Contender) -> None:
    if isinstance(contender, MeasuredBridge | ExactlyOnceConnect):
        contender.await_ready()
    else:
        time.sleep(_CONNECTOR_START_SECONDS)


def _counted(client: MongoClient[Any]) -> int:
    counters = client.admin.command("serverStatus")["opcounters"]
    return sum(int(counters[name]) for name in _COUNTED_COMMANDS)


def _quantiles(prefix: str, values: Sequence[float], percents: Sequence[int]) -> dict[str, float]:
    if not values:
        return {}
    return {
        f"{prefix}{percent}": values[min(len(values) - 1, int(len(values) * percent / 100))]
        for percent in percents
    }
