"""``init``: from a collection that no profile knows to a delivered message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.settings import load
from tests.support import job_layouts
from tests.support.bridge_process import BridgeProcess
from tests.support.command import SECRET, EndedCommand, GivenSettings, run_command
from tests.support.messages import published_states, values
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client, MongoDeployment

COLLECTION = "work_items"
#: Nothing of it may be seen in any output.
INPUT = f"input-{SECRET}"


@pytest.fixture
def given(settings: GivenSettings) -> dict[str, str]:
    return {**settings, "mongo.collection": COLLECTION}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "job-bridge.toml"


def init(given: GivenSettings, target: Path, *arguments: str) -> EndedCommand:
    return run_command("init", "--output", str(target), *arguments, settings=given)


def fill(client: Client, database: str, documents: list[dict[str, Any]]) -> None:
    client[database][COLLECTION].insert_many(
        [{**job, "payload": INPUT, "options": {"token": INPUT}} for job in documents]
    )
    client[database][COLLECTION].create_index("lastModified")


def test_a_collection_becomes_delivered_messages(
    given: dict[str, str],
    target: Path,
    tmp_path: Path,
    client: Client,
    database: str,
    kafka: Kafka,
    topic: str,
) -> None:
    """Started with nothing but the written file, the bridge delivers the next transition."""
    documents = job_layouts.home_made()
    fill(client, database, documents)

    ended = init(given, target)

    assert ended.code == 0, ended.out
    assert f"wrote {target}" in ended.out and f"run --config {target}" in ended.out
    assert "failure" not in ended.out and "topic" in ended.out
    job = next(job for job in documents if job["currentStage"] == "running")
    with BridgeProcess({"JOB_BRIDGE_CONFIG": str(target)}, tmp_path / "bridge.log") as bridge:
        bridge.wait_ready()
        entry = {"from": "running", "to": "complete", "at": job_layouts.START, "eventId": "e-1"}
        client[database][COLLECTION].update_one(
            {"jobId": job["jobId"]},
            {"$push": {"stageLog": entry}, "$set": {"currentStage": "complete"}},
        )
        bridge.wait_acked(1)

    assert published_states(kafka, topic, job["jobId"]) == ["complete"]
    assert values(kafka.read(topic))[0]["trans_id"] == "e-1"


def test_the_settings_that_were_given_are_written(
    given: dict[str, str], target: Path, client: Client, database: str, topic: str
) -> None:
    fill(client, database, job_layouts.home_made())

    init({**given, "start.from": "history", "mongo.password": "", "verify.every": "10m"}, target)
    loaded = load(target, {}, {})

    assert loaded.mongo.uri.get_secret_value() == given["mongo.uri"]
    assert (loaded.mongo.database, loaded.mongo.collection) == (database, COLLECTION)
    assert (loaded.kafka.topic, loaded.start.from_, loaded.verify.every) == (
        topic,
        "history",
        "10m",
    )
    assert loaded.jobs.transitions_field == "stageLog" and loaded.jobs.transition_state == "to"


def test_a_dry_run_prints_the_file_alone(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    fill(client, database, job_layouts.home_made())

    ended = init({**given, "start.from": "now"}, target, "--dry-run", "--start-from", "history")

    assert ended.code == 0 and not target.exists()
    assert "warning: JOB_BRIDGE_START_FROM has another value and overrides start.from" in ended.err
    copy = target.with_name("copy.toml")
    copy.write_text(ended.out)
    assert load(copy, {}, {}).jobs.id_field == "jobId"
    assert "* id_field" in ended.err and "20/20" in ended.err


def test_existing_files_need_force(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    fill(client, database, job_layouts.home_made())
    target.write_text("[log]\n")

    refused = init(given, target)

    assert refused.code == 64 and target.read_text() == "[log]\n"
    assert "exists" in refused.error and "--force" in refused.error
    assert init(given, target, "--force").code == 0
    assert "stageLog" in target.read_text()
    own = init({**given, "JOB_BRIDGE_CONFIG": str(target)}, target, "--force")
    assert own.code == 64 and "comments and secrets" in own.error


def test_undecided_settings_write_nothing(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    fill(client, database, job_layouts.celery())

    ended = init(given, target)

    assert ended.code == 78 and not target.exists()
    assert "undecided jobs.transitions_field: the sample contains no array" in ended.out
    assert "--jobs-transitions-field ''" in ended.error

    assert init(given, target, "--jobs-transitions-field", "").code == 0
    loaded = load(target, {}, {})
    assert (loaded.jobs.id_field, loaded.jobs.state_field) == ("_id", "status")
    assert loaded.jobs.transitions_field is None


def test_the_proposed_profile_decides_about_topics(
    given: dict[str, str], target: Path, client: Client, database: str, kafka: Kafka
) -> None:
    """The names of the CDM Task Service are for its jobs only."""
    dotted = {**given, "kafka.topic": f"{database}.jobs"}
    created = run_command("topics", "create", settings=dotted)
    fill(client, database, job_layouts.home_made())
    custom = init(dotted, target)
    client[database][COLLECTION].drop()
    fill(client, database, job_layouts.cts())

    proposed = init(dotted, target, "--force")
    chosen = init({**dotted, "jobs.profile": "custom"}, target, "--force")

    assert (created.code, custom.code, chosen.code) == (0, 0, 0)
    assert load(target, {}, {}).jobs.updated_field == "_update_time"
    assert proposed.code == 78 and "with jobs.profile = cts only" in proposed.error
    assert "Nothing was written" in proposed.error


def test_given_fields_that_no_job_contains(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    """The note on the missing field ends with the option, and the warning takes its place."""
    fill(client, database, job_layouts.home_made())

    ended = init(given, target, "--jobs-transition-trans-id", "nonfield")
    proposed = init(given, target, "--force")

    assert ended.code == 0 and "none of the newest" not in proposed.out
    assert "contains nonfield (jobs.transition_trans_id): the bridge makes the" in ended.out


def test_json_contains_candidates_and_findings(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    fill(client, database, job_layouts.nested())

    ended = init(given, target, "--json")
    report = json.loads(ended.out)

    assert ended.code == report["exit_code"] == 78 and ended.err == ""
    assert [entry["setting"] for entry in report["undecided"]] == [
        "jobs.state_field",
        "jobs.transitions_field",
    ]
    nested = [entry for entry in report["candidates"] if entry["field"] == "meta.status"]
    assert nested[0]["problem"] and not nested[0]["proposed"]

    wrong = init(given, target, "--jobs-state-field", "a.b", "--jobs-transitions-field=")
    assert wrong.code == 78 and not target.exists()
    assert "--jobs-state-field: 'a.b' is not a plain field name" in wrong.error

    decided = init(given, target, "--json", "--jobs-state-field", "x", "--jobs-transitions-field=")
    report = json.loads(decided.out)
    assert report["file"] == str(target) and report["jobs"]["state_field"] == "x"
    assert decided.code == 78, "no document has the field, which the checks find"
    assert any(finding["level"] == "failure" for finding in report["findings"])


def test_an_absent_collection_is_not_found(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    client[database].create_collection("work_item")

    ended = init(given, target)

    assert ended.code == 66 and not target.exists()
    assert f"similar names: {database}.work_item" in ended.out

    known = init({**given, "jobs.profile": "cts"}, target)
    assert known.code == 0 and load(target, {}, {}).jobs.profile == "cts"


def test_hostile_documents_are_only_undecided(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    hostile: list[dict[str, Any]] = [
        {"state": {"$set": [[INPUT]]}, "a.b": 1, "$c": "\x1b[31m", "": None, "\x1b[0m\n": "x"},
        {"_id": {"a": 1}, "state": 7, "history": [1, None, {"time": "x"}], "id": INPUT},
        {"_id": 5, "state": "x" * 2_000_000, "status.x": "a", "updated": float("nan")},
    ]
    client[database][COLLECTION].insert_many(hostile)

    ended = init(given, target)

    assert ended.code == 78 and not target.exists()
    assert "does not decide jobs.id_field, jobs.state_field, jobs.transitions" in ended.error
    assert "\x1b" not in ended.out + ended.err


def test_views_and_standalones_are_named(
    given: dict[str, str],
    target: Path,
    client: Client,
    database: str,
    standalone: MongoDeployment,
) -> None:
    """A file for a standalone is written, because the collection is known; the checks fail."""
    client[database].command("create", "view", viewOn=COLLECTION, pipeline=[])
    viewed = init({**given, "mongo.collection": "view"}, target)
    assert viewed.code == 78 and "is a view" in viewed.error and not target.exists()

    with MongoClient[Any](standalone.uri) as alone:
        alone[database][COLLECTION].insert_many(job_layouts.cts())
    ended = init({**given, "mongo.uri": standalone.uri}, target)
    assert ended.code == 78 and "This mongod is a standalone" in ended.out
    assert load(target, {}, {}).jobs.profile == "cts"


def test_without_kafka_only_mongodb_is_checked(
    given: dict[str, str], target: Path, client: Client, database: str
) -> None:
    fill(client, database, job_layouts.cts())
    given = {name: value for name, value in given.items() if not name.startswith("kafka.")}

    ended = init(given, target)

    assert ended.code == 0
    assert "Kafka was not checked" in ended.out and "librdkafka" not in ended.out
    assert '#topic = "job-transitions"' in target.read_text()


def test_missing_rights_and_secrets_are_named(
    given: dict[str, str], target: Path, locked_mongo: MongoDeployment
) -> None:
    """The password is in no output and not in the file, which says how to give it."""
    password = f"init-{SECRET}"
    with MongoClient[Any](locked_mongo.root_uri) as root:
        root["secured"][COLLECTION].insert_many(job_layouts.cts())
        for name, roles in (("reader", [{"role": "readWrite", "db": "secured"}]), ("nothing", [])):
            root.admin.command("createUser", name, pwd=password, roles=roles)

    def settings(user: str) -> dict[str, str]:
        uri = locked_mongo.uri.replace("://", f"://{user}:{password}@")
        return {**given, "mongo.uri": uri, "mongo.database": "secured", "kafka.topic": "absent"}

    refused = init(settings("nothing"), target)
    assert refused.code == 77 and "not authorized" in refused.error and not target.exists()

    ended = init({**settings("reader"), "checkpoint.database": "secured"}, target)
    text = target.read_text()

    assert ended.code == 78, "the topic does not exist, and the file is written nevertheless"
    assert "mongo.uri is not written: set JOB_BRIDGE_MONGO_URI" in ended.out
    assert SECRET not in text and "reader" not in text
    assert load(target, {}, {}).mongo.database == "secured"
