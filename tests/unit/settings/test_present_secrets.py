"""Secrets that are read again from their files while the bridge runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import Misconfigured
from bridge.settings import Settings
from tests.support.settings_reading import reading

USER = {"JOB_BRIDGE_MONGO_USERNAME": "bridge"}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("old\n")
    return path


@pytest.fixture
def settings(secret: Path) -> Settings:
    return reading({**USER, "JOB_BRIDGE_MONGO_PASSWORD_FILE": str(secret)})


def test_a_rotated_secret_is_read_again(settings: Settings, secret: Path) -> None:
    secret.write_text("\ufeffnew\n")

    present = settings.with_present_secrets()

    assert present.mongo.password.get_secret_value() == "new"
    assert settings.mongo.password.get_secret_value() == "old"
    assert present.mongo.username == "bridge"
    assert present.kafka == settings.kafka
    secret.write_text("newest")
    assert present.with_present_secrets().mongo.password.get_secret_value() == "newest"


def test_nothing_but_secrets_changes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_BRIDGE_MONGO_DATABASE", "other")
    monkeypatch.setenv("JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "gone"))

    assert settings.with_present_secrets() == settings


def test_without_files_the_settings_stay() -> None:
    settings = reading({**USER, "JOB_BRIDGE_MONGO_PASSWORD": "given"})

    assert settings.with_present_secrets() is settings


def test_an_option_stays_stronger_than_its_file(secret: Path) -> None:
    environment = {**USER, "JOB_BRIDGE_MONGO_PASSWORD_FILE": str(secret)}
    settings = reading(environment, mongo__password="option")

    assert settings.with_present_secrets().mongo.password.get_secret_value() == "option"


@pytest.mark.parametrize("content", [None, b"", b"\xff"], ids=["gone", "empty", "not text"])
def test_a_file_amid_a_rotation_is_waited_for(
    content: bytes | None, settings: Settings, secret: Path
) -> None:
    """The bridge waits for it; the next attempt reads the file again."""
    secret.unlink() if content is None else secret.write_bytes(content)

    with pytest.raises(Misconfigured, match="JOB_BRIDGE_MONGO_PASSWORD_FILE") as raised:
        settings.with_present_secrets()

    assert raised.value.part == "mongodb"
    assert "Nothing is lost" in raised.value.data
