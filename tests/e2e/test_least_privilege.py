"""The rights in the files beside the example settings are sufficient and minimal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ACLOperation, ResourceType
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from bridge.demo.servers.process import poll
from tests.support.bridge_process import BridgeProcess
from tests.support.command import ROOT, SECRET, EndedCommand, GivenSettings, run_command
from tests.support.granted_rights import grants, roles, without
from tests.support.job_writer import GOOD, Document, JobWriter
from tests.support.messages import dead_letters, published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client, MongoDeployment

ROLES = (ROOT / "config" / "mongodb-role.js").read_text()
ACLS = (ROOT / "config" / "kafka-acls.sh").read_text()
TOPIC = "granted"


@pytest.fixture(scope="module")
def root(locked_mongo: MongoDeployment) -> Iterator[Client]:
    """The administrator, who applies the script: a user for each set of rights."""
    needed, optional = roles()["jobBridge"]["privileges"], roles()["jobBridgeMonitor"]["privileges"]
    users: dict[str, list[Document]] = {
        "whole": [*needed, *optional],
        "plain": needed,
        "deaf": without(needed, "changeStream"),
        "blind": [without(needed, "find")[0], needed[1]],
        "forgetful": without(without(needed, "update"), "insert"),
        "background": roles()["jobBridgeBackground"]["privileges"],
    }
    with MongoClient[Any](locked_mongo.root_uri) as client:
        for name, privileges in users.items():
            client.admin.command("createRole", name, privileges=privileges, roles=[])
            client.admin.command("createUser", name, pwd=f"{name}-{SECRET}", roles=[name])
        client["cdmtaskservice"].create_collection("jobs")
        client["cdmtaskservice"]["jobs"].create_index("_update_time")
        yield client


@pytest.fixture(scope="module")
def granted(locked_kafka: Kafka) -> Kafka:
    """Users in Kafka: ``whole`` has all grants, ``plain`` those needed, ``mute`` only Describe."""
    for topic, operations in grants():
        name = topic.replace("$TOPIC", TOPIC)
        locked_kafka.allow("whole", ResourceType.TOPIC, name, *operations)
        if ACLOperation.WRITE in operations:
            locked_kafka.allow("plain", ResourceType.TOPIC, name, *operations)
            locked_kafka.allow("mute", ResourceType.TOPIC, name, ACLOperation.DESCRIBE)
    return locked_kafka


@pytest.fixture
def rights(
    root: Client, granted: Kafka, locked_mongo: MongoDeployment, database: str
) -> dict[str, str]:
    """Settings but for the two users."""
    assert root.address
    return {
        "mongo.uri": f"{locked_mongo.uri}&authSource=admin",
        "kafka.bootstrap_servers": granted.bootstrap,
        "kafka.topic": TOPIC,
        "kafka.security_protocol": "SASL_PLAINTEXT",
        "kafka.sasl_mechanism": "PLAIN",
        "checkpoint.name": database,
        "http.port": "0",
        "log.format": "json",
    }


def as_users(
    rights: GivenSettings, *, mongo: str = "whole", kafka: str = "whole"
) -> dict[str, str]:
    users = {
        "mongo.username": mongo,
        "mongo.password": f"{mongo}-{SECRET}",
        "kafka.sasl_username": kafka,
        "kafka.sasl_password": f"{kafka}-{SECRET}",
    }
    return {**rights, **users}


def at_a_time(given: GivenSettings) -> dict[str, str]:
    """A start at the present is refused where other tests have sent messages to the topic."""
    return {**given, "start.from": datetime.now(timezone.utc).isoformat()}


def levels(checked: EndedCommand) -> dict[str, set[str]]:
    """The findings of ``check --json``: subjects by level."""
    subjects: dict[str, set[str]] = {}
    for finding in json.loads(checked.out):
        subjects.setdefault(finding["level"], set()).add(finding["subject"])
    return subjects


@contextmanager
def running(settings: GivenSettings, folder: Path) -> Iterator[BridgeProcess]:
    with BridgeProcess(settings, folder / "log") as bridge:
        yield bridge.wait_ready()


def test_the_scripts_grant_no_more_than_they_say() -> None:
    actions = {
        action
        for role in roles().values()
        for privilege in role["privileges"]
        for action in privilege["actions"]
    }
    operations = {operation.name for _, granted in grants() for operation in granted}

    assert actions == {
        "find",
        "changeStream",
        "insert",
        "update",
        "serverStatus",
        "replSetGetConfig",
    }
    assert operations == {"DESCRIBE", "WRITE", "READ", "DESCRIBE_CONFIGS"}
    assert {topic for topic, _ in grants()} == {"$TOPIC", "$TOPIC-dlq"}
    assert all(role["roles"] == [] for role in roles().values())


@pytest.mark.parametrize("user", ["whole", "plain"])
def test_the_rights_of_the_scripts_suffice(
    user: str, rights: GivenSettings, root: Client, granted: Kafka, tmp_path: Path
) -> None:
    given = as_users(rights, mongo=user, kafka=user)
    checked = run_command("check", "--json", settings=given)
    assert checked.code == 0
    # The broker of the tests is alone, so each topic has a single replica.
    warnings = {"topic"} | ({"oplog", "read back"} if user == "plain" else set())
    assert levels(checked).get("warning", set()) == warnings

    jobs, dead = JobWriter(root["cdmtaskservice"]["jobs"]), len(dead_letters(granted, TOPIC))
    with running(given, tmp_path) as bridge:
        job_id = jobs.add_good()
        jobs.add(id=7)
        bridge.wait_acked(len(GOOD) + 1)
        headroom = bridge.metrics().get("job_bridge_oplog_headroom_seconds")
        assert (headroom is None) == (user == "plain")
        assert bridge.metrics()["job_bridge_lag_seconds"] >= 0
        assert bridge.stop() == 0
    assert published_states(granted, TOPIC, job_id) == list(GOOD)
    assert len(dead_letters(granted, TOPIC)) == dead + 1
    stored = run_command("token", "show", "--json", settings=given)
    assert (json.loads(stored.out)["mongo_cluster_id"] == "rs0/") == (user == "plain")


def test_a_password_from_a_file_is_enough(rights: GivenSettings, tmp_path: Path) -> None:
    given = as_users(rights)
    for name in ("mongo.password", "kafka.sasl_password"):
        secret = tmp_path / name
        secret.write_text(f"{given.pop(name)}\n")
        given[f"JOB_BRIDGE_{name.replace('.', '_').upper()}_FILE"] = str(secret)

    assert run_command("check", settings=given).code == 0


def test_the_role_permits_only_what_is_needed(root: Client, locked_mongo: MongoDeployment) -> None:
    """It writes only checkpoints and reads only the jobs."""
    uri = f"{locked_mongo.uri}&authSource=admin"
    with MongoClient[Any](uri, username="whole", password=f"whole-{SECRET}") as client:
        for forbidden in (
            lambda: client["cdmtaskservice"]["jobs"].insert_one({}),
            lambda: client["cdmtaskservice"]["other"].find_one(),
            lambda: client["job_bridge"]["job_bridge_checkpoints"].delete_one({}),
            lambda: client["local"]["oplog.rs"].find_one(),
        ):
            with pytest.raises(OperationFailure, match="not authorized"):
                forbidden()


@pytest.mark.parametrize(
    ("users", "words", "todo"),
    [
        (
            {"mongo": "deaf"},
            "MongoDB refuses this user: not authorized on cdmtaskservice",
            "find and changeStream on the collection",
        ),
        (
            {"mongo": "forgetful"},
            "MongoDB does not let this user keep the checkpoint in "
            "job_bridge.job_bridge_checkpoints",
            "Grant find, insert and update on that collection",
        ),
        (
            {"kafka": "mute"},
            "Kafka does not let this user write to the topic granted",
            "Grant Write and Describe on granted and its -dlq",
        ),
    ],
)
def test_a_right_that_is_withheld_is_named(
    users: dict[str, str], words: str, todo: str, rights: GivenSettings
) -> None:
    given = at_a_time(as_users(rights, **users))

    ended = run_command("run", settings=given)
    checked = run_command("check", settings=given)

    assert ended.code == 77 == checked.code
    assert ended.error.startswith("not permitted: ")
    assert words in ended.error and todo in ended.error
    failures = [line for line in checked.out.splitlines() if line.startswith("failure")]
    assert failures and all(words in line and todo in line for line in failures)


def test_an_invisible_topic_is_reported(rights: GivenSettings, granted: Kafka) -> None:
    granted.create_topic("hidden")

    ended = run_command("run", settings={**as_users(rights), "kafka.topic": "hidden"})

    assert ended.code == 78
    assert "The topic hidden does not exist, or this user may not see it" in ended.error


@pytest.mark.parametrize("user", ["whole", "nobody"])
def test_a_wrong_password_of_mongodb_is_refused(user: str, rights: GivenSettings) -> None:
    given = {**as_users(rights, mongo=user), "mongo.password": f"wrong-{SECRET}"}

    for ended in (run_command("run", settings=given), run_command("token", "show", settings=given)):
        assert ended.code == 77
        assert (
            "Authentication failed" in ended.error
            and "Check user, password and authSource" in ended.error
        )
    checked = run_command("check", settings=given)
    assert checked.code == 77 and "Authentication failed" in checked.out


def test_a_withdrawn_permission_is_waited_for(
    rights: GivenSettings, root: Client, granted: Kafka, tmp_path: Path
) -> None:
    """The message arrives once the permission is back."""
    jobs = JobWriter(root["cdmtaskservice"]["jobs"])
    with running(at_a_time(as_users(rights, mongo="plain")), tmp_path) as bridge:
        root.admin.command(
            "revokePrivilegesFromRole", "plain", privileges=[roles()["jobBridge"]["privileges"][1]]
        )
        job_id = jobs.add_good()
        bridge.unready_reason("MongoDB does not let this user keep the checkpoint")
        root.admin.command(
            "grantPrivilegesToRole", "plain", privileges=[roles()["jobBridge"]["privileges"][1]]
        )
        bridge.wait_ready()
        poll(
            lambda: published_states(granted, TOPIC, job_id)[-len(GOOD) :] == list(GOOD),
            "the job",
            30,
        )


def test_only_the_background_role_permits_a_sweep(
    rights: GivenSettings, root: Client, granted: Kafka
) -> None:
    given = {**as_users(rights, mongo="background"), "delivery.mode": "background-transitions"}
    job = JobWriter(root["cdmtaskservice"]["jobs"]).add_past(*GOOD)

    refused = run_command("sweep", "--once", settings={**given, **as_users(rights, mongo="whole")})
    assert refused.code == 77
    assert "Grant update on the collection" in refused.error
    checked = run_command("check", settings={**given, **as_users(rights, mongo="whole")})
    assert checked.code == 77 and "Grant update on the collection" in checked.out
    started = run_command("run", settings={**given, **as_users(rights, mongo="whole")})
    assert started.code == 77 and "Grant update on the collection" in started.error
    assert published_states(granted, TOPIC, job["id"]) == []

    assert run_command("check", settings=given).code == 0
    assert run_command("sweep", "--once", settings=given).code == 0
    assert published_states(granted, TOPIC, job["id"])[-len(GOOD) :] == list(GOOD)


def test_reading_the_topic_back_needs_the_right_to(
    rights: GivenSettings, root: Client, granted: Kafka
) -> None:
    ended = run_command("verify", settings=as_users(rights, kafka="plain"))

    assert ended.code == 77
    assert (
        "Kafka does not let this user read the topic" in ended.error
        and "Grant Read and Describe on the topic and its -dlq" in ended.error
    )
    assert run_command("verify", settings=as_users(rights)).code in (0, 66, 75)
