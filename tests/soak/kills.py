"""A table of kills: ``python -m tests.soak.kills``.

Each driver, and exactly-once, is killed under load and during a backlog. The table has what was
committed, lost, out of order, repeated and left out, and how long starts took until ready. A
read_committed consumer watches the runs of exactly-once.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click

from tests.support.backlog import load as write_backlog
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    EXACTLY_ONCE,
    DeliveryCase,
)
from tests.support.fault_scenario import FaultScenario, Setting
from tests.support.read_back import LeftOut, kill, topic_contents, wait_for_all
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment
from tests.support.simulator import Workload
from tests.support.state_topic import create_state_topic
from tests.support.visible_run import VisibleRun

CASES = (AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, EXACTLY_ONCE)
BACKLOG_JOBS, BACKLOG_TRANSITIONS = 4000, 5
#: Clean stops whose next start is timed.
CLEAN_STARTS = 5
HEADINGS = "run,kills,committed,lost,reordered,repeated,left out,clean start s,start after kill s"


@dataclass
class Series:
    """The kills of one bridge."""

    name: str
    kills: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)
    clean_starts: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def row(self, scenario: FaultScenario) -> tuple[list[str], bool]:
        """The row of the table, and whether nothing was lost, reordered or repeated."""
        found = topic_contents(scenario)
        faults = (len(found.lost), len(found.reordered), found.repeated)
        seconds = [
            f"{median(times):.2f}" if times else "" for times in (self.clean_starts, self.starts)
        ]
        counts = (self.kills, len(found.copies), *faults, int(self.left_out.total))
        return [self.name, *map(str, counts), *seconds], not any(faults)


def name_of(case: DeliveryCase) -> str:
    return case.mode if case.transactional else case.driver


def timed_start(bridge: BridgeProcess) -> float:
    began = time.monotonic()
    bridge.start().wait_ready()
    return time.monotonic() - began


def under_load(scenario: FaultScenario, kills: int, rate: float) -> Series:
    """Kills at random moments of a steady load, after some clean stops."""
    series, bridge = Series(f"{name_of(scenario.delivery)} at {rate:g}/s"), scenario.bridge()
    bridge.start().wait_ready()
    workload = Workload(rate=rate, concurrency=32, error_share=0.4, writes="both")
    with scenario.load(workload) as load:
        for _ in range(CLEAN_STARTS):
            load.await_commits(100)
            assert bridge.stop() == 0
            series.clean_starts.append(timed_start(bridge))
        for _ in range(kills):
            load.await_commits(20)
            time.sleep(random.uniform(0.3, 2.0))
            kill(bridge, series.left_out)
            series.kills += 1
            series.starts.append(timed_start(bridge))
        load.await_commits(100)
    finish(scenario, bridge, series)
    return series


def during_a_backlog(scenario: FaultScenario, kills: int) -> Series:
    """Kills while the bridge catches up with what was committed before its start."""
    series, bridge = Series(f"{name_of(scenario.delivery)}, backlog"), scenario.bridge()
    bridge.start().wait_ready()
    assert bridge.stop() == 0
    for _ in range(kills):
        write_backlog(scenario.mongo.uri, scenario.database, BACKLOG_JOBS, BACKLOG_TRANSITIONS)
        bridge.start().wait_acked(random.randint(1, BACKLOG_JOBS))
        kill(bridge, series.left_out)
        series.kills += 1
    series.starts.append(timed_start(bridge))
    finish(scenario, bridge, series)
    return series


def finish(scenario: FaultScenario, bridge: BridgeProcess, series: Series) -> None:
    """Wait for every transition, and stop."""
    wait_for_all(scenario)
    series.left_out.note(bridge)
    assert bridge.stop() == 0


@contextmanager
def made_scenario(
    mongo: MongoDeployment, kafka: Kafka, case: DeliveryCase, name: str, folder: Path
) -> Iterator[FaultScenario]:
    kafka.create_topic(name, message_timestamp_type="LogAppendTime")
    kafka.create_topic(f"{name}-dlq", partitions=1)
    if case.store == "kafka":
        create_state_topic(kafka, name)
    (folder / name).mkdir()
    setting = Setting(mongo, kafka, f"database-{name}", name, folder / name)
    with FaultScenario(setting, case) as scenario:
        yield scenario


@contextmanager
def watched(scenario: FaultScenario) -> Iterator[None]:
    """Let a read_committed consumer watch a run of exactly-once, and judge it at the end."""
    if not scenario.delivery.transactional:
        yield
        return
    with VisibleRun(scenario) as visible:
        yield
        scenario.witness.catch_up()
        visible.judge()


@click.command()
@click.option("--kills", default=50, show_default=True, help="Under load, each case.")
@click.option("--backlog-kills", default=10, show_default=True, help="In a backlog, each case.")
@click.option("--rate", default=200.0, show_default=True, help="Transitions a second.")
def main(kills: int, backlog_kills: int, rate: float) -> None:
    """Print the table; exit code 1 if anything was lost, out of order or repeated."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    rows, well = [HEADINGS.split(",")], True
    with MongoDeployment(folder / "mongod") as mongo, Kafka(folder / "kafka") as kafka:
        for case in CASES:
            for steady in (True, False):
                name = f"{name_of(case)}-{'load' if steady else 'backlog'}"
                with (
                    made_scenario(mongo, kafka, case, name, folder) as scenario,
                    watched(scenario),
                ):
                    series = (
                        under_load(scenario, kills, rate)
                        if steady
                        else during_a_backlog(scenario, backlog_kills)
                    )
                    row, fine = series.row(scenario)
                rows, well = [*rows, row], well and fine
                print("| " + " | ".join(row) + " |", flush=True)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("| " + " | ".join(cells) + " |")
    sys.exit(not well)


if __name__ == "__main__":
    main()
