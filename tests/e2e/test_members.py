"""Owner and standby: the pages, the metrics and ``status`` of both."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.command import run_command
from tests.support.job_writer import JobWriter
from tests.support.servers.kafka import Kafka
from tests.support.state_topic import create_state_topic

#: The standbys of Kafka's group are described every 5 seconds.
SEEN_SECONDS = 30.0


@pytest.fixture(params=["mongo", "kafka"])
def store(request: pytest.FixtureRequest, kafka: Kafka, topic: str) -> str:
    if request.param == "kafka":
        create_state_topic(kafka, topic)
    return str(request.param)


def shown(bridge: BridgeProcess) -> dict[str, Any]:
    ownership: dict[str, Any] = bridge.status()["ownership"]
    return ownership


def probed(bridge: BridgeProcess) -> tuple[int, int]:
    """The answers of the probe, and of the probe that admits a standby."""
    return bridge.get("/readyz")[0], bridge.get("/readyz?standby=ok")[0]


def words(bridge: BridgeProcess) -> str:
    return f"the bridge with process {bridge.pid} on "


def test_owner_and_standby_show_each_other(
    start: MakeBridge, jobs: JobWriter, store: str, tmp_path: Path
) -> None:
    port = str(free_port())
    with start(checkpoint__store=store, http__port=port) as owner:
        owner.wait_ready()
        standby = start(checkpoint__store=store)
        standby.log_file = tmp_path / "standby.log"
        with standby:
            standby.wait_unready(f"standby: {words(owner)}")
            standby.wait_for(lambda: probed(standby) == (503, 200), "ready as a standby")

            assert probed(owner) == (200, 200)
            assert shown(owner)["is_us"] and not shown(standby)["is_us"]
            for bridge in (owner, standby):
                assert str(shown(bridge)["owner"]).startswith(words(owner))
            assert (owner.metric("job_bridge_owner"), standby.metric("job_bridge_owner")) == (1, 0)
            if store == "kafka":
                owner.wait_for(
                    lambda: owner.metrics().get("job_bridge_standbys") == 1,
                    "a standby in the metrics",
                    SEEN_SECONDS,
                )
                (other,) = shown(owner)["standbys"]
                assert other.startswith(words(standby))
            else:
                assert shown(owner)["standbys"] is None
                assert "job_bridge_standbys" not in owner.metrics()
            line = "  owner       this bridge, since 20"
            assert line in run_command("status", settings={"http.port": port}).out

            stopped = time.time()
            assert owner.stop() == 0
            standby.wait_ready()
            standby.wait_for(
                lambda: shown(standby)["since"] is not None, "since when", SEEN_SECONDS
            )
            assert probed(standby) == (200, 200)
            assert str(shown(standby)["owner"]).startswith(words(standby))
            since = standby.metric("job_bridge_owner_since_timestamp_seconds")
            assert stopped - 1 <= since <= time.time()
            assert standby.stop() == 0
