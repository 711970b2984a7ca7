"""Background modes without the right to remove tags: refused at the start, never sent twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.demo.servers.process import poll
from tests.support.bridge_process import BridgeProcess
from tests.support.command import SECRET, GivenSettings, run_command
from tests.support.granted_rights import roles, without
from tests.support.job_writer import Document, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client, MongoDeployment
from tests.support.sweeps import TAG

USER = "untagger"
#: Each background mode, with a driver of its own.
MODES: dict[str, GivenSettings] = {
    "background-transitions": {"kafka.driver": "kafka-python"},
    "background-jobs": {"kafka.driver": "librdkafka", "sweep.job_tag": TAG},
}


def privileges(database: str) -> list[Document]:
    """Those of the background role, for the jobs of ``database``."""
    needed = roles()["jobBridgeBackground"]["privileges"]
    resource = {"db": database, "collection": "jobs"}
    return [{**privilege, "resource": resource} for privilege in needed]


@pytest.fixture
def root(locked_mongo: MongoDeployment, database: str) -> Iterator[Client]:
    """The administrator, who has created a user with the rights of a background mode."""
    with MongoClient[Any](locked_mongo.root_uri) as client:
        client[database].create_collection("jobs")
        client.admin.command("createRole", USER, privileges=privileges(database), roles=[])
        client.admin.command("createUser", USER, pwd=f"{USER}-{SECRET}", roles=[USER])
        yield client
        client.admin.command("dropUser", USER)
        client.admin.command("dropRole", USER)


@pytest.fixture
def given(
    root: Client,
    locked_mongo: MongoDeployment,
    kafka: Kafka,
    database: str,
    topic: str,
) -> dict[str, str]:
    assert root.address
    return {
        "mongo.uri": f"{locked_mongo.uri}&authSource=admin",
        "mongo.username": USER,
        "mongo.password": f"{USER}-{SECRET}",
        "mongo.database": database,
        "kafka.bootstrap_servers": kafka.bootstrap,
        "kafka.topic": topic,
    }


@pytest.mark.parametrize("mode", MODES)
def test_a_start_without_the_right_is_refused(
    mode: str, given: GivenSettings, root: Client, kafka: Kafka, database: str
) -> None:
    settings = {**given, "delivery.mode": mode, **MODES[mode]}
    root.admin.command(
        "updateRole", USER, privileges=without(privileges(database), "update"), roles=[]
    )
    JobWriter(root[database]["jobs"], tag=TAG).add()

    ended = run_command("run", settings=settings)
    checked = run_command("check", settings=settings)

    assert ended.code == 77 == checked.code
    for text in (ended.error, checked.out):
        assert "MongoDB refuses this user: not authorized" in text
        assert "Grant update on the collection: background modes remove tags" in text
    assert kafka.read(settings["kafka.topic"]) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_withdrawn_right_repeats_nothing(
    mode: str, given: GivenSettings, root: Client, kafka: Kafka, database: str, tmp_path: Path
) -> None:
    """The message is sent once, and its tag is removed when the right is back."""
    settings = {**given, "delivery.mode": mode, **MODES[mode], "sweep.older_than_seconds": "0"}
    jobs = JobWriter(root[database]["jobs"], tag=TAG)
    with BridgeProcess(settings, tmp_path / "log") as bridge:
        bridge.wait_ready()
        root.admin.command(
            "updateRole", USER, privileges=without(privileges(database), "update"), roles=[]
        )
        sent = jobs.insert()
        bridge.unready_reason("Grant update on the collection")
        waiting = jobs.insert()
        poll(
            lambda: bridge.metric("job_bridge_restarts_total", reason="mongodb") >= 3,
            "another attempt",
            30,
        )
        assert published_states(kafka, given["kafka.topic"], sent) == ["created"]
        root.admin.command("updateRole", USER, privileges=privileges(database), roles=[])
        bridge.wait_ready()
        poll(lambda: _tagged(root[database]["jobs"], mode) == 0, "removed tags", 30)
        assert bridge.stop() == 0

    for job_id in (sent, waiting):
        assert published_states(kafka, given["kafka.topic"], job_id) == ["created"]


def _tagged(collection: Any, mode: str) -> int:
    query = {TAG: True} if mode == "background-jobs" else {"transition_times.notif_sent": False}
    return int(collection.count_documents(query))
