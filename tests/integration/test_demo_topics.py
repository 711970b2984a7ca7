"""``topics create`` on the demo's broker, which ignores validate_only and creates topics."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.demo.servers.broker import Broker
from tests.support.command import run_command


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_a_dry_run_creates_nothing(driver: str, tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        given = {
            "kafka.bootstrap_servers": broker.bootstrap,
            "kafka.topic": "jobs",
            "kafka.driver": driver,
        }
        actions = [
            run_command("topics", "create", *options, settings=given).out.split("\n")[0]
            for options in (["--dry-run"], ["--dry-run"], [], [])
        ]

    assert actions == [
        "jobs: would create with 3 partition(s)",
        "jobs: would create with 3 partition(s)",
        "jobs: created with 3 partition(s)",
        "jobs: already exists",
    ]
