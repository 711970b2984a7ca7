"""The table of where each microsecond goes, for both drivers."""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import click

from benchmarks.contenders import DRIVERS, bridge
from benchmarks.processes import TICKS
from benchmarks.results import Results
from benchmarks.samples import sampled, seen
from benchmarks.world import Backlog, World
from bridge.demo.servers.process import poll

_COMMAND = (sys.executable, "-P", "-m", "benchmarks.profiled", "run")
_PATIENCE_SECONDS = 120.0
#: CPU seconds of each thread, with its name, by its id.
Threads = dict[int, tuple[str, float]]


def profile(world: World, results: Results, backlog: Backlog) -> None:
    """Microseconds a message of each part, by driver; the start is not in it."""
    for driver in DRIVERS:
        output = world.folder / f"profile-{driver}.raw"
        spent, messages = _watched(world, backlog, driver, output)
        if not output.exists():
            click.echo(f"no profile, {output.with_suffix('.log').read_text().strip()}")
            continue
        results.profile[driver] = _by_part(spent, output, messages)


def _watched(world: World, backlog: Backlog, driver: str, output: Path) -> tuple[Threads, int]:
    """CPU seconds of each thread from when the bridge is under way to the last message, and how many messages that were."""
    topic = world.topic()
    with bridge(world, driver, command=_COMMAND)(
        backlog.database, topic, backlog.start
    ) as contender:
        poll(lambda: world.count(topic) > 0, "the first message", _PATIENCE_SECONDS)
        with sampled(contender.pid, output):
            already, before = world.count(topic), _threads(contender.pid)
            poll(
                lambda: world.count(topic) >= backlog.transitions,
                "the last message",
                _PATIENCE_SECONDS,
            )
            after = _threads(contender.pid)
    spent = {
        thread: (name, cpu - before.get(thread, ("", 0.0))[1])
        for thread, (name, cpu) in after.items()
    }
    return spent, backlog.transitions - already


def _threads(pid: int) -> Threads:
    found: Threads = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        stat = (task / "stat").read_text()
        fields = stat.rpartition(")")[2].split()
        found[int(task.name)] = (
            stat[stat.index("(") + 1 : stat.rindex(")")],
            (int(fields[11]) + int(fields[12])) / TICKS,
        )
    return found


def _by_part(spent: Threads, output: Path, messages: int) -> dict[str, float]:
    """A thread's CPU, shared out by where it was seen; a thread that runs no Python is a part of its own."""
    samples, parts = seen(output), defaultdict[str, float](float)
    for thread, (name, cpu) in spent.items():
        own = (
            "librdkafka's own threads"
            if name.startswith("rdk:")
            else "threads that were never seen"
        )
        places = samples.get(thread) or Counter({own: 1})
        for part, times in places.items():
            parts[part] += cpu / messages * 1e6 * times / places.total()
    return {
        part: round(micros, 2)
        for part, micros in sorted(parts.items(), key=lambda one: -one[1])
        if micros >= 0.005
    }
