"""``verify.every``: a running bridge says by itself what Kafka lacks."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timezone
from pathlib import Path

from bridge.demo.servers.mongod import Client
from tests.e2e.commands.conftest import Start
from tests.support.jobs import GOOD, Jobs
from tests.support.running import Bridge


def test_a_running_bridge_verifies_by_itself_and_says_what_kafka_lacks(
    jobs: Jobs, start: Start, client: Client, database: str
) -> None:
    with start(verify__every="2s", verify__settle_seconds="0") as bridge:
        bridge.await_ready()
        jobs.past(*GOOD, ago=0, every=0)
        bridge.await_acked(3)
        bridge.wait_until(
            lambda: (bridge.status()["verified"] or {}).get("missing") == 0, "a verification"
        )
        assert bridge.metrics()["job_bridge_verified_missing"] == 0
        # One that the stream never told: written before the bridge was there, by its time.
        unseen(jobs, bridge)
        bridge.wait_until(
            lambda: (bridge.status()["verified"] or {}).get("missing", 0) > 0, "something missing"
        )
        line = bridge.await_line("Kafka lacks")
        assert "'job-bridge verify --repair --from " in line and "' sends them" in line
        until = bridge.metrics()["job_bridge_verified_until_timestamp_seconds"]
        assert datetime.now(timezone.utc).timestamp() - until < 60
        assert bridge.stop() == 0


def test_a_ctrl_c_is_for_the_bridge_which_then_ends_the_verification(
    jobs: Jobs, start: Start
) -> None:
    with start(verify__every="1s", verify__settle_seconds="0") as bridge:
        bridge.await_ready()
        jobs.past(*GOOD, ago=0, every=0)
        seen: dict[int, int] = {}
        bridge.wait_until(
            lambda: bool(seen.update(verifications(bridge)) or seen), "a verification that runs"
        )
        (child,) = seen
        assert seen[child] == child  # a terminal tells only the bridge's group
        bridge.process.send_signal(signal.SIGINT)

        assert bridge.process.wait(30) == 0
        assert not Path(f"/proc/{child}").exists()
        assert not any("verification failed" in line for line in bridge.messages())


def verifications(bridge: Bridge) -> dict[int, int]:
    """The processes in which it verifies at this moment, and the group of each."""
    tasks = Path(f"/proc/{bridge.process.pid}/task").iterdir()
    children = [int(number) for task in tasks for number in (task / "children").read_text().split()]
    return {
        child: os.getpgid(child)
        for child in children
        if b"verify" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    }


def unseen(jobs: Jobs, bridge: Bridge) -> None:
    """A transition that happens without any event of it: its collection is written under another name, and renamed."""
    database = jobs.collection.database
    hidden = Jobs(database["hidden"])
    hidden.past(*GOOD, ago=-1, every=0)
    acked = bridge.status()["counters"]["acked"]
    database["hidden"].rename("jobs", dropTarget=True)
    jobs.past("created", ago=-1)
    bridge.await_acked(acked + 1)
