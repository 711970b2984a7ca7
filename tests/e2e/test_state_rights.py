"""The rights for ``checkpoint.store = kafka`` are sufficient; a missing right is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kafka.admin import ACLOperation, ResourceType

from tests.support.bridge_process import BridgeProcess
from tests.support.command import SECRET, run_command
from tests.support.granted_rights import grants, state_grants
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment

TOPIC = "kept"
NAME = "kept-name"
STATE = f"{TOPIC}-bridge-state"
#: The users, each with the kind of the grants that are withheld.
USERS = {
    "keeper": None,
    "stateless": ResourceType.TOPIC,
    "groupless": ResourceType.GROUP,
    "untransacted": ResourceType.TRANSACTIONAL_ID,
}


@pytest.fixture(scope="module")
def kept(locked_kafka: Kafka) -> Kafka:
    """Kafka with the three topics, and each user with its grants."""
    locked_kafka.create_topic(TOPIC)
    locked_kafka.create_topic(f"{TOPIC}-dlq", partitions=1)
    locked_kafka.create_topic(
        STATE, partitions=1, cleanup_policy="compact", segment_bytes=16_777_216
    )
    for user, withheld in USERS.items():
        for topic, operations in grants():
            name = topic.replace("$TOPIC", TOPIC)
            locked_kafka.allow(user, ResourceType.TOPIC, name, *operations)
        for kind, name, operations in state_grants(TOPIC, NAME):
            kept = (ACLOperation.DESCRIBE,) if kind == withheld else operations
            locked_kafka.allow(user, kind, name, *kept)
    return locked_kafka


@pytest.fixture
def as_user(
    kept: Kafka,
    mongo: MongoDeployment,
    database: str,
    jobs: JobWriter,
    request: pytest.FixtureRequest,
) -> dict[str, str]:
    """The settings of the user that the test names."""
    user = str(request.param)
    return {
        "mongo.uri": mongo.uri,
        "mongo.database": database,
        "kafka.bootstrap_servers": kept.bootstrap,
        "kafka.topic": TOPIC,
        "kafka.security_protocol": "SASL_PLAINTEXT",
        "kafka.sasl_mechanism": "PLAIN",
        "kafka.sasl_username": user,
        "kafka.sasl_password": f"{user}-{SECRET}",
        "checkpoint.store": "kafka",
        "checkpoint.name": NAME,
        "start.from": "2026-03-02T18:00:00Z",
        "http.port": "0",
        "log.format": "json",
    }


@pytest.mark.parametrize("as_user", ["keeper"], indirect=True)
def test_the_rights_of_the_script_suffice(
    as_user: dict[str, str], jobs: JobWriter, kept: Kafka, tmp_path: Path
) -> None:
    given = {**as_user, "delivery.mode": "exactly-once"}
    checked = run_command("check", settings=given)
    assert checked.code == 0, checked.out
    for words in (
        f"{STATE}, 1 partition(s), 1 replica(s)",
        f"may join the consumer group job-bridge-{NAME}",
        f"may use the transactional id job-bridge-{NAME}",
        "transaction.max.timeout.ms",
        "isolation.level = read_committed",
    ):
        assert words in checked.out

    with BridgeProcess(given, tmp_path / "log") as bridge:
        bridge.wait_ready()
        job_id = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        # The questions of a check keep no bridge from working.
        assert run_command("check", settings=given).code == 0
        later = jobs.add_good()
        bridge.wait_acked(2 * len(GOOD))
        assert bridge.stop() == 0
    for written in (job_id, later):
        assert published_states(kept, TOPIC, written) == list(GOOD)
    assert run_command("token", "clear", "--yes", settings=given).code == 0


@pytest.mark.parametrize(
    ("as_user", "words", "todo"),
    [
        ("stateless", f"the state topic {STATE}", f"Grant Read, Write and Describe on {STATE}"),
        (
            "groupless",
            f"join the consumer group job-bridge-{NAME}",
            f"Grant Read on the group job-bridge-{NAME}",
        ),
        (
            "untransacted",
            f"use the transactional id job-bridge-{NAME}",
            f"Grant Write and Describe on the transactional id job-bridge-{NAME}",
        ),
    ],
    indirect=["as_user"],
)
def test_a_missing_right_is_named(as_user: dict[str, str], words: str, todo: str) -> None:
    checked = run_command("check", "--json", settings=as_user)
    ran = run_command("run", settings=as_user)

    assert checked.code == ran.code == 77
    assert words in ran.error and todo in ran.error
    failures = [finding for finding in json.loads(checked.out) if finding["level"] == "failure"]
    assert failures
    assert all(words in finding["text"] and todo in finding["todo"] for finding in failures)
