"""The sample consumer beside a bridge, while both are killed."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from bridge.demo.servers.process import poll
from tests.support.command import ROOT, run_command
from tests.support.delivery_case import AT_LEAST_ONCE_LIBRDKAFKA
from tests.support.fault_scenario import FaultScenario
from tests.support.load import Load

EXAMPLE = ROOT / "examples" / "job_states.py"
#: Longer than a session of the group, which a killed consumer leaves open.
PROGRESS_SECONDS = 120.0
KILLS = 4
#: The tests' own reader of the topic needs these fields.
NOT_A_TRANSITION = b'{"job_id": "other", "state": 7, "time": "", "trans_id": "other"}'

pytestmark = pytest.mark.timeout(600)


class SampleConsumer:
    """The example as a process; it can be killed and started again."""

    def __init__(self, scenario: FaultScenario, folder: Path) -> None:
        self._arguments = (scenario.kafka.bootstrap, scenario.topic, str(folder / "jobs.sqlite"))
        self._log = folder / "consumer.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(EXAMPLE), *self._arguments], stdout=log, stderr=log
            )

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(60)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGKILL)

    def output(self) -> str:
        return self._log.read_text()

    def rows(self, query: str) -> list[tuple[str | int, ...]]:
        """The rows of a query; none before the consumer has made its tables."""
        assert self._process is not None and self._process.poll() is None, self.output()
        with closing(sqlite3.connect(self._arguments[-1], timeout=30)) as database:
            try:
                return database.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []

    def processed(self) -> set[str]:
        return {str(row[0]) for row in self.rows("SELECT trans_id FROM processed")}


@pytest.fixture
def delivery_case() -> object:
    return AT_LEAST_ONCE_LIBRDKAFKA


@contextmanager
def sample_consumer(scenario: FaultScenario, folder: Path) -> Iterator[SampleConsumer]:
    consumer = SampleConsumer(scenario, folder)
    consumer.start()
    try:
        yield consumer
    finally:
        consumer.close()


def send_foreign_record(scenario: FaultScenario) -> None:
    """Send a record that another program could have written to the topic."""
    producer = Producer({"bootstrap.servers": scenario.kafka.bootstrap})
    producer.produce(scenario.topic, NOT_A_TRANSITION, key=b"other")
    assert producer.flush(30) == 0


def replay_job(scenario: FaultScenario, load: Load) -> None:
    """Send a job's messages again."""
    job = load.commits[0].job_id
    ended = run_command("replay", "--job", job, settings=scenario.settings())
    assert ended.code == 0, ended.err


def test_each_transition_has_one_effect_despite_kills(
    scenario: FaultScenario, tmp_path: Path
) -> None:
    """Both processes are killed; the bridge is without read-back, so that it repeats messages."""
    letters = f"{scenario.topic}-job-states-dlq"
    scenario.kafka.create_topic(letters, partitions=1)
    bridge = scenario.bridge(kafka__read_back="off").start().wait_ready()
    with sample_consumer(scenario, tmp_path) as consumer:
        with scenario.load() as load:
            load.await_commits(100)
            poll(lambda: bool(consumer.processed()), "the first message", PROGRESS_SECONDS)
            send_foreign_record(scenario)
            for number in range(KILLS):
                time.sleep(random.uniform(0.2, 1))  # the fault itself is one of chance
                bridge.kill()
                if number == KILLS // 2:
                    consumer.end(signal.SIGKILL)
                    consumer.start()
                bridge.start().wait_ready()
            replay_job(scenario, load)
            load.await_commits(100)
        scenario.wait_for_arrival()
        expected = {transition.trans_id for transition in scenario.witness.transitions}
        poll(lambda: consumer.processed() >= expected, "all transitions", PROGRESS_SECONDS)
        (effects,) = consumer.rows("SELECT sum(messages) FROM job")
        states = {str(row[0]): row[1] for row in consumer.rows("SELECT id, state FROM job")}
        assert consumer.end(signal.SIGTERM) == 0, consumer.output()
    assert bridge.stop() == 0

    assert consumer_repeats(scenario, expected) > 0
    assert effects == (len(expected),)
    assert states == {job["id"]: job["state"] for job in scenario.jobs().collection.find()}
    assert {record.value for record in scenario.kafka.read(letters)} == {NOT_A_TRANSITION}


def consumer_repeats(scenario: FaultScenario, expected: set[str]) -> int:
    """How many messages the consumer had to drop."""
    return scenario.count() - len(expected) - 1
