"""Faults of brokers and of transactions in exactly-once, watched by a read_committed consumer."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from bridge.demo.servers.process import poll
from tests.support.delivery_case import ONLY_EXACTLY_ONCE
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import GOOD
from tests.support.kill_points import command
from tests.support.long_faults import LONG, REPEATS
from tests.support.state_topic import SUFFIX
from tests.support.visible_run import VisibleRun

pytestmark = [ONLY_EXACTLY_ONCE, pytest.mark.timeout(900)]
#: The transaction timeout, and the pause in which Kafka looks for transactions beyond it.
TRANSACTION_SECONDS, LOOK_SECONDS = 15.0, 10.0
SLOW_SECONDS = 4.0
OPEN_SECONDS = 120.0
#: The commit at which a process freezes.
FATAL_COMMIT = (5, 40)


@pytest.fixture
def visible(scenario: FaultScenario) -> Iterator[VisibleRun]:
    with VisibleRun(scenario) as run:
        yield run


def test_a_broker_killed_in_mid_transaction_costs_time(
    scenario: FaultScenario, visible: VisibleRun
) -> None:
    """The bridge stands between the last acknowledgement and its commit."""
    bridge = scenario.bridge().start(command("before-commit", 30, signal.SIGSTOP)).wait_ready()
    with scenario.load() as load:
        bridge.await_pause()
        with scenario.kafka_down():
            bridge.resume()
            load.await_commits(50)
        load.await_commits(100)
        bridge.wait_ready()

    visible.finish(bridge)


@LONG
def test_brokers_killed_in_mid_transaction_cost_time(
    scenario: FaultScenario, visible: VisibleRun
) -> None:
    """At other points of the transaction, and several times."""
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        for point in ("after-begin", "after-produce", "after-commit"):
            assert bridge.stop() == 0
            bridge.start(command(point, random.randint(*FATAL_COMMIT), signal.SIGSTOP))
            bridge.await_pause()
            with scenario.kafka_down():
                bridge.resume()
                load.await_commits(50)
            bridge.wait_ready()
            load.await_commits(50)

    visible.finish(bridge)


@LONG
def test_a_broker_killed_between_transactions_costs_time(
    scenario: FaultScenario, visible: VisibleRun
) -> None:
    bridge = scenario.bridge().start().wait_ready()
    for number in range(3):
        scenario.jobs().add_good()
        visible.reader.await_count((2 * number + 1) * len(GOOD))
        with scenario.kafka_down():
            scenario.jobs().add_good()
        visible.reader.await_count((2 * number + 2) * len(GOOD))

    visible.finish(bridge, at_least=6 * len(GOOD))


@LONG
def test_a_slow_broker_costs_time(scenario: FaultScenario, visible: VisibleRun) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        for _ in range(3):
            load.await_commits(50)
            with scenario.kafka_paused():
                time.sleep(SLOW_SECONDS)  # the fault itself
        load.await_commits(50)

    visible.finish(bridge)


@LONG
def test_a_transaction_that_timed_out_starts_again(
    scenario: FaultScenario, visible: VisibleRun
) -> None:
    """Nobody else owns the work: librdkafka reports the same error as for a lost ownership."""
    bridge = scenario.bridge().start(command("before-commit", 30, signal.SIGSTOP)).wait_ready()
    with scenario.load() as load:
        bridge.await_pause()
        time.sleep(TRANSACTION_SECONDS + LOOK_SECONDS + 1)  # the fault itself
        bridge.resume()
        load.await_commits(50)
        bridge.wait_ready()

    visible.finish(bridge)


def test_a_woken_owner_shows_nothing(scenario: FaultScenario, visible: VisibleRun) -> None:
    """It was frozen with a whole transaction to commit, and another process took over."""
    first = scenario.bridge().start(command("before-commit", 30, signal.SIGSTOP)).wait_ready()
    second = scenario.bridge().start().wait_unready("standby: ")
    with scenario.load() as load:
        first.await_pause()
        second.wait_ready()
        load.await_commits(50)
        first.resume()
        assert first.wait() == 76, first.log_tail()
        load.await_commits(50)

    visible.finish(second)


@pytest.fixture
def foreign(scenario: FaultScenario) -> Iterator[Producer]:
    """Another producer with a transaction that stays open in the state topic."""
    producer = Producer(
        {
            "bootstrap.servers": scenario.kafka.internal,
            "transactional.id": f"foreign-{scenario.topic}",
            "transaction.timeout.ms": int(1000 * OPEN_SECONDS),
            "log_level": 0,
        }
    )
    producer.init_transactions(OPEN_SECONDS)
    yield producer


def test_a_foreign_open_transaction_hides_no_position(
    scenario: FaultScenario, visible: VisibleRun, foreign: Producer
) -> None:
    """The newest record of the bridge is after the start of the foreign transaction."""
    bridge = scenario.bridge().start().wait_ready()
    scenario.jobs().add_good()
    visible.reader.await_count(len(GOOD))
    foreign.begin_transaction()
    foreign.produce(f"{scenario.topic}{SUFFIX}", b"{}", b"foreign")
    assert foreign.flush(OPEN_SECONDS) == 0
    scenario.jobs().add_good()
    visible.reader.await_count(2 * len(GOOD))
    assert bridge.kill() == -signal.SIGKILL
    seen = visible.reader.count()
    bridge.start()
    scenario.jobs().add_good()
    bridge.wait_unready("")
    time.sleep(3)  # it must do nothing in this time
    assert not bridge.ready() and visible.reader.count() == seen
    foreign.abort_transaction(OPEN_SECONDS)

    visible.finish(bridge, at_least=3 * len(GOOD))


def test_a_stop_after_an_idle_position_is_clean(
    scenario: FaultScenario, visible: VisibleRun
) -> None:
    """The position moved by events that are not sent, and is stored without messages."""
    bridge = scenario.bridge().start().wait_ready()
    job_id = scenario.jobs().add_good()
    visible.reader.await_count(len(GOOD))
    before = scenario.checkpoint()["token"]
    for number in range(20):
        scenario.jobs().update(job_id, {"$set": {"admin_meta": {"number": number}}})
    poll(lambda: scenario.checkpoint()["token"] > before, "a later position")
    assert bridge.stop() == 0
    scenario.jobs().add_good()
    bridge.start()

    visible.finish(bridge, at_least=2 * len(GOOD))


@LONG
def test_stops_in_transactions_are_clean(scenario: FaultScenario, visible: VisibleRun) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        for _ in range(REPEATS):
            load.await_commits(20)
            assert bridge.stop() == 0
            bridge.start().wait_ready()

    visible.finish(bridge)
