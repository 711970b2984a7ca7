"""The settings file that ``init`` writes: it loads, has no secrets, and replaces nothing."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from bridge.errors import Misconfigured, Usage
from bridge.settings import load
from bridge.settings.new_settings_file import (
    admit_target,
    overridden,
    secrets_left_out,
    settings_text,
    validated,
    write_settings,
)

CUSTOM = {"profile": "custom", "id_field": "job", "state_field": "state"}


def text_of(options: dict[str, object], jobs: dict[str, str] | None = None) -> str:
    return settings_text(
        load(None, options, {}), jobs or CUSTOM, header=["first"], always=["kafka.topic"]
    )


def test_given_settings_are_read_again() -> None:
    options: dict[str, object] = {
        "mongo.uri": "mongodb://host:1/?replicaSet=rs0",
        "mongo.collection": "wörk.items",
        "checkpoint.name": 'a "quoted\\name"\tand more',
        "checkpoint.lease_seconds": 12.5,
        "delivery.window_messages": 7,
        "start.from": "history",
    }

    text = text_of(options)
    loaded = validated(text, {})

    assert text.startswith("# first\n")
    assert loaded.model_dump(include={"mongo", "checkpoint", "delivery", "start"}) == load(
        None, options, {}
    ).model_dump(include={"mongo", "checkpoint", "delivery", "start"})
    assert loaded.jobs.id_field == "job"


def test_variables_that_override_the_file_are_named() -> None:
    """A run with the file would read another collection than the one that was looked at."""
    text = text_of({"mongo.database": "shop", "kafka.topic": "t", "verify.every": "10m"})
    environment = {
        "JOB_BRIDGE_MONGO_DATABASE": "other",
        "JOB_BRIDGE_KAFKA_TOPIC": "t",
        "JOB_BRIDGE_LOG_LEVEL": "debug",
    }

    (said,) = overridden(text, {}, environment)

    assert said.startswith("JOB_BRIDGE_MONGO_DATABASE has another value and overrides mongo.data")
    assert list(overridden(text, {}, {})) == []


def test_an_environment_that_contradicts_is_said() -> None:
    (said,) = overridden(text_of({}), {}, {"JOB_BRIDGE_JOBS_PROFILE": "cts"})

    assert "does not work in this environment: " in said
    assert "jobs.id_field needs JOB_BRIDGE_JOBS_PROFILE = custom" in said and "/" not in said


def test_defaults_are_written_as_comments() -> None:
    text = text_of({})

    assert '#topic = "job-transitions"' in text
    assert set(tomllib.loads(text)) == {"jobs", "kafka"}


@pytest.mark.parametrize(
    "uri", ["mongodb://user:canary@host/", "mongodb://host/?tlsCertificateKeyFilePassword=canary"]
)
def test_secrets_are_left_out(uri: str) -> None:
    options: dict[str, object] = {
        "mongo.uri": uri,
        "kafka.security_protocol": "SASL_SSL",
        "kafka.sasl_username": "user",
        "kafka.sasl_password": "canary",
    }

    text = text_of(options)
    secrets = secrets_left_out(load(None, options, {}))

    assert "canary" not in text
    assert "set JOB_BRIDGE_MONGO_URI or JOB_BRIDGE_MONGO_URI_FILE" in text
    assert secrets == {"mongo.uri": uri, "kafka.sasl_password": "canary"}
    assert validated(text, secrets).kafka.sasl_username == "user"


def test_contradictions_are_found_before_writing() -> None:
    options: dict[str, object] = {"delivery.mode": "background-transitions"}

    with pytest.raises(Misconfigured, match="needs jobs with a history"):
        validated(text_of(options), {})


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"

    write_settings(path, "first", force=False)
    with pytest.raises(Usage, match="exists"):
        write_settings(path, "second", force=False)
    assert path.read_text() == "first"

    write_settings(path, "second", force=True)
    assert path.read_text() == "second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.toml"]
    assert not path.stat().st_mode & stat.S_IWOTH


def test_bad_targets_are_refused_early(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="is a folder"):
        admit_target(tmp_path, force=True)
    with pytest.raises(Misconfigured, match="does not exist"):
        admit_target(tmp_path / "absent" / "settings.toml", force=True)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(Usage, match="exists"):
        admit_target(tmp_path / "link", force=False)
