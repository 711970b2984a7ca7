"""What each delivery mode costs, and recovery and verification beside it; made into docs/delivery-modes.md."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.contenders import bridge
from benchmarks.measures import Measures
from benchmarks.processes import peak_megabytes
from benchmarks.results import ROOT, Results, about
from benchmarks.world import Backlog, Contender, Make, World
from bridge.demo.servers.process import poll

PAGE = ROOT / "docs" / "delivery-modes.md"
_TEXT = Path(__file__).with_name("modes.md")
DRIVER = "librdkafka"
TAG = "to_notify"
_SWEEP = {"sweep.every_seconds": "1", "sweep.older_than_seconds": "0"}
MODES: Mapping[str, Mapping[str, str]] = {
    "fire-and-forget": {"delivery.mode": "fire-and-forget", "delivery.window_messages": "100000"},
    "synchronous": {"delivery.mode": "synchronous"},
    "background-jobs": {"delivery.mode": "background-jobs", "sweep.job_tag": TAG, **_SWEEP},
    "background-transitions": {"delivery.mode": "background-transitions", **_SWEEP},
    "at-least-once": {"delivery.mode": "at-least-once"},
}
#: Jobs of a backlog, seven transitions each; where one follows the other fewer tell as much.
_JOBS = {"synchronous": 600}
_MOST_JOBS = 10_000
_RATE, _SECONDS = 50, 15
VERIFIED_RATE = 200
VERIFIED: Mapping[str, Mapping[str, str]] = {
    "verify never": {},
    "verify every 2 s": {"verify.every": "2s", "verify.settle_seconds": "1"},
}


def modes(world: World, results: Results, rounds: int) -> None:
    """All modes in turn, round after round; the figures go into the table ``modes``."""
    measures = Measures(world, results)
    for _ in range(rounds):
        for name, settings in MODES.items():
            backlog = world.backlog(_JOBS.get(name, _MOST_JOBS))
            _drained(world, results, name, backlog, settings)
            measures.latency(
                _RATE, _SECONDS, {f"mode {name}": bridge(world, DRIVER, settings=settings)}
            )


def recovery(world: World, results: Results, rounds: int) -> None:
    """The same transitions from the stream, and from the jobs' history."""
    backlog = world.backlog(2 * _MOST_JOBS)
    for _ in range(rounds):
        streamed = world.drain(backlog, bridge(world, DRIVER))
        told = world.drain(
            backlog, partial(_swept, bridge(world, DRIVER, settings={"start.from": "history"}))
        )
        results.add(
            "recovery", "from the stream", rate=streamed.rate(), cpu=streamed.cpu_per_100k()
        )
        results.add("recovery", "from history", rate=told.rate(), cpu=told.cpu_per_100k())


def verification(world: World, results: Results, rounds: int) -> None:
    """The loop's latency while it verifies again and again, and without."""
    for _ in range(rounds):
        for name, settings in VERIFIED.items():
            Measures(world, results).latency(
                VERIFIED_RATE, _SECONDS, {name: bridge(world, DRIVER, settings=settings)}
            )


def comparison(world: World, results: Results, transitions: int) -> None:
    """``verify`` over transitions that Kafka has: how long, and how much memory at most."""
    backlog, topic = world.backlog(transitions // 7), world.topic()
    with bridge(world, DRIVER, settings={"start.from": "history"})(backlog.database, topic, None):
        poll(lambda: world.count(topic) >= backlog.transitions, "all messages", 300)
    settings = {
        "mongo.uri": world.mongod.uri,
        "mongo.database": backlog.database,
        "kafka.bootstrap_servers": world.kafka.bootstrap,
        "kafka.topic": topic,
        "verify.settle_seconds": "0",
    }
    own = {
        f"JOB_BRIDGE_{name.replace('.', '_').upper()}": value for name, value in settings.items()
    }
    began, peak = time.monotonic(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "verify", "--json"],
        env=os.environ | own,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None:
        with contextlib.suppress(OSError):  # gone between two looks
            peak = max(peak, peak_megabytes(process.pid))
        time.sleep(0.1)
    found = json.loads(process.communicate()[0])
    assert (
        found["transitions"] == found["messages"] == backlog.transitions and not found["missing"]
    ), found
    results.add(
        "comparison",
        f"{backlog.transitions} transitions",
        seconds=time.monotonic() - began,
        megabytes=peak,
    )


def _drained(
    world: World, results: Results, name: str, backlog: Backlog, settings: Mapping[str, str]
) -> None:
    """A backlog, and the writes it cost: a stream begins before it, a sweep finds it by its tags."""
    make = bridge(world, DRIVER, settings=settings)
    if name.startswith("background"):
        backlog, make = (
            _tagged(world.mongod.uri, backlog, by_job=name == "background-jobs"),
            partial(_swept, make),
        )
    before = _writes(world.mongod.uri)
    run = world.drain(backlog, make)
    time.sleep(2)  # what is stored or untagged at last counts too
    spent = (_writes(world.mongod.uri) - before) / backlog.transitions
    results.add("modes", name, rate=run.rate(), writes=spent, cpu=run.cpu_per_100k())


def _swept(
    make: Make, database: str, topic: str, _start: int | None
) -> AbstractContextManager[Contender]:
    return make(database, topic, None)


def _tagged(uri: str, backlog: Backlog, *, by_job: bool) -> Backlog:
    """The same jobs as a service leaves them that tags: each job, or each transition; with the index of the sweep."""
    with MongoClient[Any](uri, w="majority") as client:
        jobs = client[backlog.database].jobs
        if by_job:
            jobs.update_many({}, {"$set": {TAG: True}})
            jobs.create_index([(TAG, 1), ("_update_time", 1)], partialFilterExpression={TAG: True})
            return Backlog(
                backlog.database, backlog.start, jobs.count_documents({}), backlog.events
            )
        unsent = {"transition_times.notif_sent": False}
        jobs.create_index(
            [("transition_times.notif_sent", 1), ("transition_times.time", 1)],
            partialFilterExpression=unsent,
        )
    return backlog


def _writes(uri: str) -> int:
    with MongoClient[Any](uri) as client:
        counters = client.admin.command("serverStatus")["opcounters"]
    return int(counters["insert"]) + int(counters["update"]) + int(counters["delete"])


def write(results: Results) -> None:
    """The page: the text by hand, the table by figures."""
    made = about()
    head = (
        "mode",
        "transitions/s",
        "p50 ms",
        "p99 ms",
        "writes to MongoDB per transition",
        "CPU s per 100 000",
    )
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in MODES:
        latency = f"mode {name}, {_RATE}/s"
        figures = [
            _figure(results, "modes", name, "rate", "{:.0f}"),
            _figure(results, "latency", latency, "p50", "{:.1f}"),
            _figure(results, "latency", latency, "p99", "{:.1f}"),
            _figure(results, "modes", name, "writes", "{:.3f}"),
            _figure(results, "modes", name, "cpu", "{:.1f}"),
        ]
        rows.append(f"| `{name}` | " + " | ".join(figures) + " |")
    note = (
        f"Made by `make bench-modes` on {made['date']}, commit {made['commit']}, on {made['cpu']}, {made['cores']} cores which MongoDB, Kafka and the "
        f"bridge share; driver {DRIVER}, no headers. Latency is from just before a write to the arrival at a consumer, {_RATE} writes a second."
    )
    text = _TEXT.read_text().replace("<!-- figures -->", "\n".join([note, "", *rows]))
    PAGE.write_text(
        text.replace("<!-- recovery -->", _recovered(results))
        .replace("<!-- verification -->", _verified(results))
        .replace("<!-- comparison -->", _compared(results))
    )


def _compared(results: Results) -> str:
    return " ".join(
        f"`verify` compared {name} with the topic in {_figure(results, 'comparison', name, 'seconds', '{:.0f}')} s, with "
        f"{_figure(results, 'comparison', name, 'megabytes', '{:.0f}')} MB of memory at most."
        for name in results.names("comparison")
    )


def _recovered(results: Results) -> str:
    rows = ["| transitions | a second | CPU s per 100 000 |", "|---|---|---|"]
    rows += [
        f"| {name} | {_figure(results, 'recovery', name, 'rate', '{:.0f}')} | {_figure(results, 'recovery', name, 'cpu', '{:.2f}')} |"
        for name in results.names("recovery")
    ]
    ratios = results.ratios("recovery", "from history", "from the stream", "rate")
    return "\n".join(
        [
            *rows,
            "",
            f"Round by round, history by stream: {', '.join(f'{ratio:.2f}' for ratio in ratios)}.",
        ]
    )


def _verified(results: Results) -> str:
    rows = [f"| latency at {VERIFIED_RATE}/s | p50 ms | p90 | p99 |", "|---|---|---|---|"]
    for name in VERIFIED:
        figures = [
            _figure(results, "latency", f"{name}, {VERIFIED_RATE}/s", figure, "{:.1f}")
            for figure in ("p50", "p90", "p99")
        ]
        rows.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(rows)


def _figure(results: Results, table: str, name: str, figure: str, form: str) -> str:
    values = results.values(table, name, figure)
    if not values:
        return ""
    middle = form.format(results.median(table, name, figure))
    return (
        middle
        if len(values) == 1
        else f"{middle} ({form.format(min(values))} - {form.format(max(values))})"
    )
