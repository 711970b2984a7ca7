"""Secrets: from files, never in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings.load import setting_names
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
