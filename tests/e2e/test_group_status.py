"""``status --group``: the members and the position, asked of Kafka while no bridge answers."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge.demo.servers.process import poll
from tests.support.bridge_process import BridgeProcess
from tests.support.command import EndedCommand, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.kafka import Kafka


@pytest.fixture
def in_kafka(settings: dict[str, str], kafka: Kafka, topic: str, jobs: JobWriter) -> dict[str, str]:
    kafka.create_topic(f"{topic}-bridge-state", partitions=1, cleanup_policy="compact")
    return {**settings, "checkpoint.store": "kafka"}


def asked(settings: dict[str, str], *options: str) -> EndedCommand:
    # Neither a bridge nor MongoDB could answer.
    unreachable = {"mongo.uri": "mongodb://127.0.0.1:1", "http.port": "1"}
    return run_command("status", "--group", *options, settings={**settings, **unreachable})


def test_owner_standby_and_position_are_shown(
    in_kafka: dict[str, str], jobs: JobWriter, tmp_path: Path
) -> None:
    owner = BridgeProcess(in_kafka, tmp_path / "owner")
    standby = BridgeProcess(in_kafka, tmp_path / "standby")
    with ExitStack() as stack:
        stack.enter_context(owner)
        owner.wait_ready()
        jobs.add_good()
        owner.wait_acked(len(GOOD))
        stack.enter_context(standby)
        standby.wait_for_line("owns the checkpoint")
        poll(lambda: len(json.loads(asked(in_kafka, "--json").out)["standbys"]) == 1, "a standby")

        document = json.loads(asked(in_kafka, "--json").out)
        shown = asked(in_kafka)

        assert shown.code == 0
        assert f"process {owner.pid} on" in document["owner"]["name"]
        assert f"process {standby.pid} on" in document["standbys"][0]["name"]
        assert document["owner"]["since"] is not None and document["lag_seconds"] >= 0
        for words in ("1 standby(s)", f"process {owner.pid} on", ", since 20", "stored at"):
            assert words in shown.out
        # Asking does not join the group.
        assert owner.ready() and standby.stop() == owner.stop() == 0

    # On a busy machine a process may end before Kafka has noted that it leaves.
    poll(lambda: "no owner, 0 standby(s)" in asked(in_kafka).out, "an empty group")
    stopped = asked(in_kafka)
    assert stopped.code == 75 and "position    20" in stopped.out


def test_other_stores_have_no_group(settings: dict[str, str]) -> None:
    ended = asked({**settings, "checkpoint.store": "file"})

    assert ended.code == 64 and "'job-bridge token list' shows the owners" in ended.error
