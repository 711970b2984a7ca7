"""A checkpoint that vanished while the bridge was down: nothing starts at now in silence."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from confluent_kafka import Producer

from bridge.demo.servers.process import poll
from tests.support.bridge_process import BridgeProcess
from tests.support.command import run_command
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    ONE_DELIVERY,
    delivery_cases,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import GOOD
from tests.support.read_back import kill

UNUSABLE = 83
FLUSH_SECONDS = 30.0
ODD = b'{"job_id": "odd", "state": "odd", "trans_id": "odd"}'
COMMAND = re.compile(r"'job-bridge [^']+'")
BOTH_DRIVERS = delivery_cases(AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA)


def delivered(scenario: FaultScenario, **settings: str) -> tuple[BridgeProcess, str]:
    """A bridge that has stopped after it delivered a job."""
    bridge = scenario.bridge(**settings).start().wait_ready()
    job_id = scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    assert bridge.stop() == 0
    return bridge, job_id


def drop_checkpoint(scenario: FaultScenario) -> None:
    """Remove the checkpoint as a dropped collection would."""
    checkpoints = scenario.client["job_bridge"]["job_bridge_checkpoints"]
    assert checkpoints.delete_one({"_id": scenario.database}).deleted_count == 1


def remove_position(scenario: FaultScenario) -> None:
    """Remove the position only, as a document that was restored from an old backup."""
    checkpoints = scenario.client["job_bridge"]["job_bridge_checkpoints"]
    checkpoints.replace_one({"_id": scenario.database}, {"owner": None, "epoch": 3})


def assert_refused(scenario: FaultScenario, bridge: BridgeProcess) -> None:
    """It ends with 83 and commands, sends nothing, and does so again at the next start."""
    for _ in range(2):
        ended = bridge.start().wait_for_end()
        assert ended.code == UNUSABLE
        assert "token clear" in ended.error
        assert len(COMMAND.findall(ended.error)) >= 2, ended.error
    assert len(scenario.kafka.read(scenario.topic)) == len(GOOD)


@BOTH_DRIVERS
@pytest.mark.parametrize("vanish", [drop_checkpoint, remove_position])
def test_a_vanished_checkpoint_ends_with_commands(
    scenario: FaultScenario, vanish: Callable[[FaultScenario], None]
) -> None:
    bridge, first = delivered(scenario)
    vanish(scenario)
    missed = scenario.jobs().add_good()

    assert_refused(scenario, bridge)

    cleared = run_command("token", "clear", "--yes", settings=scenario.settings())
    assert cleared.code == 0
    bridge.start().wait_ready()
    later = scenario.jobs().add_good()
    poll(lambda: scenario.published_states(later) == list(GOOD), "the job after the start")
    assert bridge.stop() == 0
    assert scenario.published_states(first) == list(GOOD)
    assert scenario.published_states(missed) == []


@ONE_DELIVERY
def test_a_time_resumes_a_refused_start(scenario: FaultScenario) -> None:
    """Messages that the topic has are left out, so an early time costs nothing."""
    bridge, first = delivered(scenario)
    drop_checkpoint(scenario)
    missed = scenario.jobs().add_good()
    assert_refused(scenario, bridge)

    changed = run_command("token", "set", "1h", "--yes", settings=scenario.settings())

    assert changed.code == 0
    bridge.start()
    poll(lambda: scenario.published_states(missed) == list(GOOD), "the missed job")
    assert bridge.stop() == 0
    assert scenario.published_states(first) == list(GOOD)


@ONE_DELIVERY
def test_a_vanished_file_ends_with_commands(scenario: FaultScenario, tmp_path: Path) -> None:
    file = tmp_path / "position.json"
    store = {"checkpoint.store": "file", "checkpoint.file": str(file)}
    bridge, _ = delivered(scenario, **store)
    file.unlink()

    assert_refused(scenario, bridge)

    cleared = run_command("token", "clear", "--yes", settings={**scenario.settings(), **store})
    assert cleared.code == 0
    later = bridge.start().wait_ready()
    assert later.stop() == 0


@ONE_DELIVERY
def test_a_kill_during_the_refusal_changes_nothing(scenario: FaultScenario) -> None:
    """The start at now is not confirmed before the topic was looked at."""
    bridge, _ = delivered(scenario)
    drop_checkpoint(scenario)
    with scenario.kafka_paused():
        bridge.start()
        poll(lambda: bool(scenario.checkpoint().get("cluster_time")), "the unconfirmed position")
        kill(bridge)

    assert_refused(scenario, bridge)


@BOTH_DRIVERS
def test_a_new_topic_starts_at_now(scenario: FaultScenario) -> None:
    before = scenario.jobs().add_good()
    bridge = scenario.bridge().start().wait_ready()
    after = scenario.jobs().add_good()
    poll(lambda: scenario.published_states(after) == list(GOOD), "the job")
    assert bridge.stop() == 0
    assert scenario.published_states(before) == []


@ONE_DELIVERY
@pytest.mark.parametrize("source", [b"job-bridge/another.jobs", b"another", None])
def test_messages_of_others_are_no_sign(scenario: FaultScenario, source: bytes | None) -> None:
    """Another bridge's messages, another program's, and those without headers."""
    producer = Producer({"bootstrap.servers": scenario.kafka.internal})
    headers: list[tuple[str, str | bytes | None]] = [("ce_source", source)] if source else []
    for partition in range(3):
        producer.produce(scenario.topic, ODD, b"odd", partition=partition, headers=headers)
    assert producer.flush(FLUSH_SECONDS) == 0

    bridge = scenario.bridge().start().wait_ready()

    job_id = scenario.jobs().add_good()
    poll(lambda: scenario.published_states(job_id) == list(GOOD), "the job")
    assert bridge.stop() == 0


@ONE_DELIVERY
@pytest.mark.parametrize("given", ["history", "a time"])
def test_other_first_starts_repeat_nothing(scenario: FaultScenario, given: str) -> None:
    """With the checkpoint gone, such a start sends only what the topic lacks."""
    began = datetime.now(timezone.utc).isoformat()
    bridge, first = delivered(scenario)
    drop_checkpoint(scenario)
    missed = scenario.jobs().add_good()
    bridge.configure(start__from=began if given == "a time" else given)

    bridge.start()

    poll(lambda: scenario.published_states(missed) == list(GOOD), "the missed job")
    assert bridge.wait_ready().stop() == 0
    assert scenario.published_states(first) == list(GOOD)


@ONE_DELIVERY
def test_messages_of_commands_are_a_named_cause(scenario: FaultScenario) -> None:
    """No bridge has run yet: the operator repaired the topic first."""
    job_id = scenario.jobs().add_good()
    replayed = run_command("replay", "--job", job_id, settings=scenario.settings())
    assert replayed.code == 0, replayed.err
    bridge = scenario.bridge()

    assert_refused(scenario, bridge)

    assert "or this is the first start and a command sent them" in bridge.output()
    assert run_command("token", "clear", "--yes", settings=scenario.settings()).code == 0
    assert bridge.start().wait_ready().stop() == 0
