"""Measures each delivery mode, recovery and verification, for docs/delivery-modes.md."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from pymongo import MongoClient

from benchmarks import exactly_once
from benchmarks.bridge import variables
from benchmarks.contenders import EXACTLY_ONCE, bridge, sends_transactions
from benchmarks.paced_measures import PacedMeasures
from benchmarks.pages import fill, spread, table
from benchmarks.processes import peak_megabytes
from benchmarks.results import ROOT, Results
from benchmarks.world import Backlog, Contender, Make, World
from bridge.demo.servers.process import poll

PAGE = ROOT / "docs" / "delivery-modes.md"
DRIVER = "librdkafka"
TAG = "to_notify"
_SWEEP = {"sweep.every_seconds": "1", "sweep.older_than_seconds": "0"}
MODES: Mapping[str, Mapping[str, str]] = {
    "fire-and-forget": {"delivery.mode": "fire-and-forget", "delivery.window_messages": "100000"},
    "synchronous": {"delivery.mode": "synchronous"},
    "background-jobs": {"delivery.mode": "background-jobs", "sweep.job_tag": TAG, **_SWEEP},
    "background-transitions": {"delivery.mode": "background-transitions", **_SWEEP},
    "at-least-once": {"delivery.mode": "at-least-once"},
    "exactly-once": EXACTLY_ONCE,
}
#: Jobs of a backlog, of seven transitions each; fewer for the slow mode.
_JOBS = 10_000
_SYNCHRONOUS_JOBS = 600
_RATE, _SECONDS = 50, 15
VERIFIED_RATE = 200
VERIFIED: Mapping[str, Mapping[str, str]] = {
    "verify never": {},
    "verify every 2 s": {"verify.every": "2s", "verify.settle_seconds": "1"},
}


def modes(world: World, results: Results, rounds: int) -> None:
    """All modes in alternating rounds: a backlog, then writes at an even pace."""
    paced = PacedMeasures(world, results)
    for _ in range(rounds):
        for name, settings in MODES.items():
            backlog = world.backlog(_SYNCHRONOUS_JOBS if name == "synchronous" else _JOBS)
            _drain(world, results, name, backlog, settings)
            make = bridge(world, DRIVER, settings=settings)
            paced.latency(_RATE, _SECONDS, {f"mode {name}": make})


def recovery(world: World, results: Results, rounds: int) -> None:
    """The same transitions from the change stream and from the jobs' history."""
    backlog = world.backlog(2 * _JOBS)
    history = bridge(world, DRIVER, settings={"start.from": "history"})
    for _ in range(rounds):
        for name, make in (
            ("from the stream", bridge(world, DRIVER)),
            ("from history", partial(_without_start, history)),
        ):
            run = world.drain(backlog, make)
            results.add("recovery", name, rate=run.rate(), cpu=run.cpu_per_100k())


def verification(world: World, results: Results, rounds: int) -> None:
    """The latency with repeated verification, and without."""
    paced = PacedMeasures(world, results)
    for _ in range(rounds):
        for name, settings in VERIFIED.items():
            make = bridge(world, DRIVER, settings=settings)
            paced.latency(VERIFIED_RATE, _SECONDS, {name: make})


def comparison(world: World, results: Results, transitions: int) -> None:
    """Time and peak memory of ``verify`` over published transitions."""
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
    start = time.monotonic()
    report, peak = _verify(settings)
    assert report["transitions"] == report["messages"] == backlog.transitions, report
    assert not report["missing"], report
    name = f"{backlog.transitions} transitions"
    results.add("comparison", name, seconds=time.monotonic() - start, megabytes=peak)


def _verify(settings: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """The report of the command, and its peak memory in megabytes."""
    peak = 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "verify", "--json"],
        env=os.environ | variables(settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None:
        with contextlib.suppress(OSError):  # The process may end in between.
            peak = max(peak, peak_megabytes(process.pid))
        time.sleep(0.1)
    return json.loads(process.communicate()[0]), peak


def _drain(
    world: World, results: Results, name: str, backlog: Backlog, settings: Mapping[str, str]
) -> None:
    """Rate, CPU and writes to MongoDB over a backlog.

    A stream starts before the backlog; a sweep finds it by its tags.
    """
    make = bridge(world, DRIVER, settings=settings)
    if name.startswith("background"):
        backlog = _tagged(world.mongod.uri, backlog, by_job=name == "background-jobs")
        make = partial(_without_start, make)
    before = _writes(world.mongod.uri)
    run = world.drain(backlog, make, transactional=sends_transactions(name))
    # The last checkpoint and the last tags count too.
    time.sleep(2)
    writes = (_writes(world.mongod.uri) - before) / backlog.transitions
    results.add("modes", name, rate=run.rate(), writes=writes, cpu=run.cpu_per_100k())


def _without_start(
    make: Make, database: str, topic: str, _start: int | None
) -> AbstractContextManager[Contender]:
    return make(database, topic, None)


def _tagged(uri: str, backlog: Backlog, *, by_job: bool) -> Backlog:
    """The same jobs with the tags that a service sets, and with the indexes of the sweep."""
    with MongoClient[Any](uri, w="majority") as client:
        jobs = client[backlog.database].jobs
        if by_job:
            jobs.update_many({}, {"$set": {TAG: True}})
            jobs.create_index([(TAG, 1), ("_update_time", 1)], partialFilterExpression={TAG: True})
            count = jobs.count_documents({})
            return Backlog(backlog.database, backlog.start, count, backlog.events)
        for array in ("trans_history", "transition_times"):
            jobs.create_index(
                [(f"{array}.notif_sent", 1), (f"{array}.time", 1)],
                partialFilterExpression={f"{array}.notif_sent": False},
            )
    return backlog


def _writes(uri: str) -> int:
    with MongoClient[Any](uri) as client:
        counters = client.admin.command("serverStatus")["opcounters"]
    return sum(int(counters[name]) for name in ("insert", "update", "delete"))


def write(results: Results, exactly_once_results: Results) -> None:
    """Fill the page with the figures of both files."""
    about = results.about
    made = (
        f"Measured by `make bench-modes` on {about['date']}, commit {about['commit']}, on "
        f"{about['cpu']}, {about['cores']} cores which MongoDB, Kafka and the bridge share."
    )
    fill(
        PAGE,
        {
            "made": made,
            "costs": _costs(results),
            "exactly-once": exactly_once.block(exactly_once_results),
            "recovery": _recovery(results),
            "verification": _verification(results),
            "comparison": _comparison(results),
        },
    )


def _costs(results: Results) -> str:
    head = (
        "mode",
        "transitions/s",
        "p50 ms",
        "p99 ms",
        "writes to MongoDB per transition",
        "CPU s per 100 000",
    )
    rows = []
    for name in results.names("modes"):
        latency = f"mode {name}, {_RATE}/s"
        cells = (
            spread(results.values("modes", name, "rate"), "{:.0f}"),
            spread(results.values("latency", latency, "p50"), "{:.1f}"),
            spread(results.values("latency", latency, "p99"), "{:.1f}"),
            spread(results.values("modes", name, "writes"), "{:.3f}"),
            spread(results.values("modes", name, "cpu"), "{:.1f}"),
        )
        rows.append((f"`{name}`", *cells))
    return table(head, rows)


def _recovery(results: Results) -> str:
    rows: Sequence[Sequence[str]] = [
        (
            name,
            spread(results.values("recovery", name, "rate"), "{:.0f}"),
            spread(results.values("recovery", name, "cpu"), "{:.2f}"),
        )
        for name in results.names("recovery")
    ]
    ratios = results.ratios("recovery", "from history", "from the stream", "rate")
    by_round = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    note = f"Rate from history relative to the stream, round by round: {by_round}."
    return table(("source", "transitions/s", "CPU s per 100 000"), rows) + f"\n\n{note}"


def _verification(results: Results) -> str:
    rows = [
        (
            name,
            *(
                spread(results.values("latency", f"{name}, {VERIFIED_RATE}/s", figure), "{:.1f}")
                for figure in ("p50", "p90", "p99")
            ),
        )
        for name in VERIFIED
    ]
    return table((f"latency at {VERIFIED_RATE}/s", "p50 ms", "p90 ms", "p99 ms"), rows)


def _comparison(results: Results) -> str:
    rows = [
        (
            name.removesuffix(" transitions"),
            spread(results.values("comparison", name, "seconds"), "{:.0f}"),
            spread(results.values("comparison", name, "megabytes"), "{:.0f}"),
        )
        for name in results.names("comparison")
    ]
    return table(("transitions compared", "seconds", "peak MB"), rows)
