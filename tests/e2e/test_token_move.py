"""``token move``: a checkpoint moves between the three stores, in all directions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeBridge
from tests.support.command import EndedCommand, GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka

STORES = ("mongo", "file", "kafka")
DIRECTIONS = list(itertools.permutations(STORES, 2))


@pytest.fixture
def given(
    settings: dict[str, str], kafka: Kafka, topic: str, tmp_path: Path, jobs: JobWriter
) -> dict[str, str]:
    """The settings, with what each of the stores needs."""
    kafka.create_topic(f"{topic}-bridge-state", partitions=1, cleanup_policy="compact")
    return {**settings, "checkpoint.file": str(tmp_path / "checkpoint.json")}


def in_store(given: GivenSettings, store: str) -> dict[str, str]:
    return {**given, "checkpoint.store": store}


def moved(given: GivenSettings, source: str, target: str, *options: str) -> EndedCommand:
    return run_command("token", "move", target, *options, settings=in_store(given, source))


def shown(given: GivenSettings, store: str) -> dict[str, object]:
    ended = run_command("token", "show", "--json", settings=in_store(given, store))
    assert ended.code == 0, ended.err
    record: dict[str, object] = json.loads(ended.out)
    return record


def run_a_job(start: MakeBridge, jobs: JobWriter, given: GivenSettings, store: str) -> None:
    """Run a bridge until it has delivered a job, and stop it."""
    with start(**in_store(given, store)) as bridge:
        bridge.wait_ready()
        jobs.add_good()
        bridge.wait_acked(len(GOOD))
        assert bridge.stop() == 0


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_a_checkpoint_moves(
    source: str, target: str, given: GivenSettings, start: MakeBridge, jobs: JobWriter
) -> None:
    run_a_job(start, jobs, given, source)
    before = shown(given, source)

    ended = moved(given, source, target)

    assert ended.code == 0, ended.err
    assert f"next: set checkpoint.store = {target}" in ended.out
    after = shown(given, target)
    kept = ("name", "token", "cluster_time", "fingerprint", "saved_at", "delivered", "gap")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["clean"] == after["sequence"] and before["clean"] == before["sequence"]
    assert int(str(after["sequence"])) > int(str(before["sequence"]))
    refused = run_command("run", settings=in_store(given, source))
    assert refused.code == 83
    assert "The checkpoint was moved from" in refused.error
    assert f"Set checkpoint.store = {target}" in refused.error


@pytest.mark.parametrize(("source", "target"), [("mongo", "kafka"), ("kafka", "file")])
def test_the_next_run_loses_and_repeats_nothing(
    source: str,
    target: str,
    given: GivenSettings,
    start: MakeBridge,
    jobs: JobWriter,
    kafka: Kafka,
    topic: str,
) -> None:
    """There and back, with a job while no bridge runs, and one after each start."""
    with start(**in_store(given, source)) as bridge:
        bridge.wait_ready()
        written = [jobs.add_good()]
        bridge.wait_acked(len(GOOD))
        assert bridge.stop() == 0
    for left, store in ((source, target), (target, source)):
        written.append(jobs.add_good())
        assert moved(given, left, store).code == 0
        with start(**in_store(given, store), kafka__read_back="off") as bridge:
            bridge.wait_ready()
            written.append(jobs.add_good())
            bridge.wait_acked(2 * len(GOOD))
            assert bridge.stop() == 0

    for job_id in written:
        assert published_states(kafka, topic, job_id) == list(GOOD)


@pytest.mark.parametrize(("source", "target"), [("mongo", "kafka"), ("kafka", "mongo")])
def test_a_running_bridge_keeps_its_checkpoint(
    source: str, target: str, given: GivenSettings, start: MakeBridge
) -> None:
    with start(**in_store(given, source)) as bridge:
        bridge.wait_ready()

        ended = moved(given, source, target)

        assert ended.code == 76 and "A bridge is running" in ended.error
        assert bridge.ready() and bridge.stop() == 0
    assert moved(given, source, target).code == 0


def test_a_second_checkpoint_is_not_overwritten(given: GivenSettings) -> None:
    for store, age in (("mongo", "1h"), ("file", "2h")):
        settings = in_store(given, store)
        assert run_command("token", "set", age, "--yes", settings=settings).code == 0
    before = shown(given, "file")

    refused = moved(given, "mongo", "file")

    assert refused.code == 64
    assert "earlier than the one to move" in refused.error and "--yes" in refused.error
    assert shown(given, "file") == before
    assert moved(given, "mongo", "file", "--yes").code == 0
    assert shown(given, "file")["cluster_time"] != before["cluster_time"]


def test_what_cannot_be_moved_is_reported(given: GivenSettings) -> None:
    missing = moved(given, "mongo", "file")
    same = moved(given, "mongo", "mongo")
    unknown = moved(given, "mongo", "redis")

    assert missing.code == 66 and "no checkpoint" in missing.error
    assert same.code == 64 and "checkpoint.store is mongo already" in same.error
    assert unknown.code == 64


def test_a_mark_is_replaced_by_hand(given: GivenSettings) -> None:
    settings = in_store(given, "mongo")
    assert run_command("token", "set", "1h", "--yes", settings=settings).code == 0
    assert moved(given, "mongo", "file").code == 0
    listed = run_command("token", "list", settings=settings)
    assert "The checkpoint was moved from" in listed.out

    changed = run_command("token", "set", "now", "--yes", settings=settings)

    assert changed.code == 0 and "old: The checkpoint was moved from" in changed.out
    assert shown(given, "mongo")["move"] is None


def test_a_command_leaves_a_static_member(given: GivenSettings, start: MakeBridge) -> None:
    """With the bridge's own settings it must not take the bridge's place in the group."""
    settings = {**in_store(given, "kafka"), "checkpoint.instance": "bridge-0"}
    with start(**settings) as bridge:
        bridge.wait_ready()

        ended = run_command("token", "clear", "--yes", settings=settings)

        assert ended.code == 76 and "A bridge is running" in ended.error
        assert bridge.ready() and bridge.stop() == 0
