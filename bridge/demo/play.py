"""The demo: embedded MongoDB and broker, a simulated job service, and a real bridge process."""

import json
import os
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from kafka import KafkaConsumer, TopicPartition

from bridge.app.signals import on_stop
from bridge.demo.job_service.workload import Workload, Writes
from bridge.demo.job_service_thread import JobServiceThread
from bridge.demo.scoreboard import Scoreboard
from bridge.demo.second_terminal import try_it
from bridge.demo.servers.broker import Broker
from bridge.demo.servers.mongod import Mongod
from bridge.demo.servers.process import Child, ServerError, free_port
from bridge.errors import Retryable, one_line

TOPIC, DATABASE, PARTITIONS = "job-transitions", "cdmtaskservice", 3
#: How long to wait for messages in flight when the jobs have ended.
LAST_SECONDS = 30.0
TOTALS_SECONDS = 5.0
#: More failures than usual, so that a recovery is soon seen.
ERROR_SHARE = 0.4
#: The only setting that the demo leaves to its user.
_DRIVER = "JOB_BRIDGE_KAFKA_DRIVER"
_COLOURS = {
    "complete": "green",
    "error": "red",
    "canceled": "yellow",
    "created": "cyan",
    "recovering": "magenta",
}


@dataclass(frozen=True, slots=True)
class Play:
    """The options of the demo; ``jobs`` None: until Ctrl-C."""

    jobs: int | None
    rate: float
    size: int
    crash: bool
    seed: int | None
    writes: Writes


def play(options: Play) -> int:
    """Run the demo; returns 0 if every committed transition arrived in order."""
    stop = threading.Event()
    # The folder is removed last, after every process that writes to it has ended.
    with tempfile.TemporaryDirectory(prefix="job-bridge-demo-") as folder, on_stop(stop.set):
        try:
            return _Demo(options, Path(folder), stop).run()
        except ServerError as error:
            raise _failure(error) from None


def _failure(error: ServerError) -> Retryable:
    """Print the log that ``error`` contains; return the line with which the demo ends."""
    what, _, log = str(error).partition(":\n")
    if log:
        click.echo(log.rstrip(), err=True)
    return Retryable(
        f"The demo cannot run: {what}",
        "Its servers and their data were temporary and are removed; nothing else was touched",
        "Correct what the lines above name, if there are any, or try again",
    )


class _Demo:
    """A run of the demo, from the servers to the summary."""

    def __init__(self, options: Play, folder: Path, stop: threading.Event) -> None:
        self._options = options
        self._folder = folder
        self._stop = stop
        self._scoreboard = Scoreboard()
        self._restarts = 0
        self._port = free_port()
        self._settings: dict[str, str] = {}

    def run(self) -> int:
        with ExitStack() as stack:
            click.echo("starting MongoDB and a broker, both embedded ...")
            mongod = stack.enter_context(Mongod(self._folder / "mongod"))
            broker = stack.enter_context(Broker(self._folder / "broker"))
            for name, partitions in ((TOPIC, PARTITIONS), (f"{TOPIC}-dlq", 1)):
                broker.create_topic(name, partitions)
            bridge = self._bridge(mongod, broker)
            stack.callback(bridge.stop, 3.0)
            self._start(bridge)
            consumer = stack.enter_context(closing(_consumer(broker)))
            service = stack.enter_context(self._job_service(mongod))
            self._show_until_done(bridge, consumer, service)
        return self._sum_up(service)

    def _bridge(self, mongod: Mongod, broker: Broker) -> Child:
        """The bridge's process, configured by its environment only."""
        self._settings = {
            "MONGO_URI": mongod.uri,
            "MONGO_DATABASE": DATABASE,
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "KAFKA_TOPIC": TOPIC,
            "HTTP_PORT": str(self._port),
            # Nobody but this machine's users reads it, and its page then shows the job ids.
            "HTTP_DETAILS": "on",
        }
        own = {
            name: value
            for name, value in os.environ.items()
            if name == _DRIVER or not name.startswith("JOB_BRIDGE_")
        }
        settings = self._settings | {"LOG_FORMAT": "plain"}
        environment = own | {f"JOB_BRIDGE_{name}": value for name, value in settings.items()}
        return Child(
            [sys.executable, "-m", "bridge", "run"], self._folder / "bridge.log", environment
        )

    def _start(self, bridge: Child) -> None:
        bridge.start()
        bridge.await_ready(
            lambda: self._stop.is_set() or _answers(f"http://127.0.0.1:{self._port}/readyz"),
            "the bridge",
        )
        if not self._restarts:
            page = f"http://127.0.0.1:{self._port}/"
            click.echo(f"the bridge is ready (process {bridge.pid}); kill it to see it resume")
            click.echo(f"its status page: {page}; its metrics: {page}metrics")
            click.echo(try_it(self._settings))

    def _job_service(self, mongod: Mongod) -> JobServiceThread:
        options = self._options
        workload = Workload(
            jobs=options.jobs,
            rate=options.rate,
            size=options.size,
            seed=options.seed,
            writes=options.writes,
            error_share=ERROR_SHARE,
        )
        return JobServiceThread(mongod.uri, DATABASE, workload, scoreboard=self._scoreboard)

    def _show_until_done(
        self, bridge: Child, consumer: KafkaConsumer, service: JobServiceThread
    ) -> None:
        chance = random.Random(self._options.seed)
        totals = time.monotonic() + TOTALS_SECONDS
        crash = time.monotonic() + chance.uniform(1.5, 3.0)
        service_ended: float | None = None
        while not self._stop.is_set():
            self._show(consumer.poll(timeout_ms=100))
            now = time.monotonic()
            if now >= totals:
                click.secho(f"-- {self._scoreboard.tally()}", dim=True)
                totals = now + TOTALS_SECONDS
            if service_ended is None and service.ended:
                service_ended = now
            if service_ended is not None and (
                not self._scoreboard.tally().missing or now - service_ended > LAST_SECONDS
            ):
                return
            if self._options.crash and now >= crash and service_ended is None:
                self._crash(bridge)
                crash = time.monotonic() + chance.uniform(1.5, 3.0)
            elif not bridge.running:
                self._resume(bridge)

    def _crash(self, bridge: Child) -> None:
        bridge.kill()
        self._restart(bridge, f"killed the bridge with SIGKILL (time {self._restarts + 1})")

    def _resume(self, bridge: Child) -> None:
        """Start the bridge again after its user ended it.

        Raises:
            ServerError: It ended by itself, with an error.
        """
        code = bridge.exit_code or 0
        if code > 0:
            raise ServerError(f"the bridge ended with exit code {code}:\n{bridge.log_tail()}")
        end = f"was killed by signal {-code}" if code else "was stopped"
        self._restart(bridge, f"the bridge {end}")

    def _restart(self, bridge: Child, reason: str) -> None:
        self._restarts += 1
        click.secho(f"-- {reason}; starting it again", fg="magenta")
        self._start(bridge)
        click.secho(f"-- the bridge is ready again (process {bridge.pid})", fg="magenta")

    def _show(self, polled: dict[Any, list[Any]]) -> None:
        for record in (record for records in polled.values() for record in records):
            click.echo(record_line(record, self._scoreboard))

    def _sum_up(self, service: JobServiceThread) -> int:
        if service.failure is not None:
            raise ServerError(f"the simulated job service failed: {service.failure}")
        tally = self._scoreboard.tally()
        shown = self._restarts or self._options.crash
        crashes = f"; the bridge was started again {self._restarts} times" if shown else ""
        good = not tally.missing and not tally.out_of_order
        click.secho(f"summary: {tally}{crashes}", fg="green" if good else "red", bold=True)
        # After Ctrl-C, messages in flight are not a failure of the bridge.
        return (
            0 if good or (self._stop.is_set() and not tally.out_of_order) else Retryable.exit_code
        )


def record_line(record: Any, scoreboard: Scoreboard) -> str:
    """Note a record of the topic, and return its line; any program may have written it."""
    try:
        message = json.loads(record.value)
        number = scoreboard.arrive(message["job_id"], message["trans_id"])
        return arrival_line(message, record.partition, number)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return f"-- a record of another program, partition {record.partition}"


def arrival_line(message: Mapping[str, str], partition: int, number: int | None) -> str:
    """Return the line of a message that has arrived; the job's texts are escaped.

    Args:
        message: The fields of its value.
        partition: Its partition.
        number: How many transitions of the job arrived before; None for a duplicate.
    """
    # A message leaves out a fraction of zero.
    moment = datetime.fromisoformat(message["time"]).isoformat(timespec="milliseconds")[11:23]
    state = click.style(
        f"{one_line(message['state']):27}", fg=_COLOURS.get(message["state"], "blue")
    )
    count = "  " if number is None else f"{number:2}"
    again = click.style(" (repeated)", dim=True) if number is None else ""
    job_id = one_line(message["job_id"])
    return f"{moment}  job {job_id}  {count} {state} partition {partition}{again}"


def _consumer(broker: Broker) -> KafkaConsumer:
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap, group_id=None, fetch_max_wait_ms=100
    )
    consumer.assign([TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)])
    consumer.seek_to_beginning()
    return consumer


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - the demo's own http URL
            return True
    except OSError:
        return False
