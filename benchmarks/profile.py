"""The table of where each microsecond goes, for both drivers."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bridge import Bridge
from benchmarks.contenders import DRIVERS
from benchmarks.results import Results
from benchmarks.world import Backlog, World

#: Threads that are not Python's, or whose parts say less than their name.
_THREADS = {"rdk:": "librdkafka's own threads", "librdkafka-poll": "delivery reports", "network-thread": "kafka-python: its sender thread"}


class _Profiled(Bridge):
    """A bridge that writes where its time went when it ends."""

    def __init__(self, world: World, backlog: Backlog, topic: str, driver: str, output: Path) -> None:
        self.output = output
        settings = {"kafka.driver": driver, "kafka.headers": "none"}
        command = [sys.executable, "-P", "-m", "benchmarks.profiled", str(output), "run"]
        super().__init__(
            world.folder, world.mongod.uri, backlog.database, world.kafka.bootstrap, topic, backlog.start, settings, command=command
        )


def profile(world: World, results: Results, backlog: Backlog) -> None:
    """Microseconds a message of each part, by driver."""
    for driver in DRIVERS:
        output = world.folder / f"profile-{driver}.json"
        world.drain(backlog, partial(_profiled, world, backlog, driver, output))
        results.profile[driver] = _by_part(json.loads(output.read_text())["threads"], backlog.transitions)


def _profiled(world: World, backlog: Backlog, driver: str, output: Path, _database: str, topic: str, _start: int | None) -> Bridge:
    return _Profiled(world, backlog, topic, driver, output)


def _by_part(threads: dict[str, Any], count: int) -> dict[str, float]:
    parts: dict[str, float] = {}
    for name, thread in threads.items():
        micros = thread["cpu"] / count * 1e6
        label = next((label for mark, label in _THREADS.items() if mark in name), "")
        seen = {label: 1} if label else thread["seen"] or {"start and the rest": 1}
        for part, times in seen.items():
            parts[part] = parts.get(part, 0.0) + micros * times / sum(seen.values())
    return {part: round(micros, 2) for part, micros in sorted(parts.items(), key=lambda one: -one[1]) if micros >= 0.005}
