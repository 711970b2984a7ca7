"""Secrets: from files, never in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings.load import setting_names, warnings
from bridge.settings.names import variable
from tests.support.settings_reading import problems, reading


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")

    settings = reading(
        {"JOB_BRIDGE_MONGO_USERNAME": "bridge", "JOB_BRIDGE_MONGO_PASSWORD_FILE": str(secret)}
    )

    assert settings.mongo.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_a_secret_given_twice_is_an_error(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("one")
    names = {"JOB_BRIDGE_MONGO_PASSWORD": "two", "JOB_BRIDGE_MONGO_PASSWORD_FILE": str(secret)}

    assert "are both set: keep one" in problems(None, names | {"JOB_BRIDGE_MONGO_USERNAME": "x"})


def test_an_unreadable_secret_file_is_named(tmp_path: Path) -> None:
    said = problems(None, {"JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "gone")})

    assert "JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE: cannot read" in said and "No such file" in said
    assert str(tmp_path) not in said


def test_only_secrets_may_have_a_file() -> None:
    assert "JOB_BRIDGE_KAFKA_TOPIC_FILE is unknown" in problems(
        None, {"JOB_BRIDGE_KAFKA_TOPIC_FILE": "x"}
    )


@pytest.mark.parametrize(
    "name", [name for name, field in setting_names().items() if "Secret" in str(field.annotation)]
)
def test_no_secret_is_in_an_error(name: str, file: Path) -> None:
    section, _, key = name.partition(".")
    file.write_text(f"[{section}]\n{key} = ['hunter2']\n")

    assert "hunter2" not in problems(file)


PASSWORD = "hunter2/+x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mongo.database", f"mongodb://bridge:{PASSWORD}@host/jobs"),
        ("mongo.database", f"bridge:{PASSWORD}@host"),
        ("mongo.database", PASSWORD),
        ("mongo.collection", f"${PASSWORD}"),
        ("mongo.collection", f"bridge:{PASSWORD}@host"),
        ("checkpoint.database", f"bridge:{PASSWORD}@host"),
        ("checkpoint.name", f"bridge:{PASSWORD}@host"),
        ("kafka.topic", PASSWORD),
        ("kafka.topic", f"bridge:{PASSWORD}@host"),
        ("kafka.bootstrap_servers", f"bridge:{PASSWORD}@host:9092"),
        ("kafka.bootstrap_servers", f"SASL_SSL://bridge:{PASSWORD}@host:9092"),
        ("kafka.bootstrap_servers", f"host:9092,{PASSWORD}"),
        ("kafka.sasl_mechanism", PASSWORD),
        ("http.host", f"bridge:{PASSWORD}@host"),
        ("http.port", PASSWORD),
        ("JOB_BRIDGE_MONGO_PASSWORD_FILE", PASSWORD),
        ("JOB_BRIDGE_MONGO_PASSWORD_FILE", f"/{PASSWORD}"),
        ("JOB_BRIDGE_MONGO_PASSWORD_FILE", f"{PASSWORD}\0"),
        ("JOB_BRIDGE_MONGO_PASSWORD_FILE", PASSWORD * 500),
    ],
)
def test_a_misplaced_secret_is_not_repeated(name: str, value: str) -> None:
    environment_name = variable(name) if "." in name else name

    said = problems(None, {environment_name: value})

    assert environment_name in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://bridge:hunter2@host/?replicaSet=rs0",
        "mongodb+srv://bridge:hunter2@host",
        "mongodb://host/?authMechanismProperties=AWS_SESSION_TOKEN:hunter2",
        "mongodb://host/?tlsCertificateKeyFilePassword=hunter2",
    ],
)
def test_a_password_on_the_command_line_is_reported(uri: str) -> None:
    (warning,) = warnings({"mongo.uri": uri}, {})

    assert warning.startswith("--mongo-uri contains a password")
    assert "JOB_BRIDGE_MONGO_URI_FILE" in warning and "hunter2" not in warning


def test_a_password_elsewhere_is_not_reported() -> None:
    uri = "mongodb://bridge:hunter2@host"

    assert warnings({"mongo.uri": "mongodb://host:27017/?replicaSet=rs0"}, {}) == []
    assert warnings({}, {"JOB_BRIDGE_MONGO_URI": uri}) == []
