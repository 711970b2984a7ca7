"""The findings of ``check`` about the state topic and the brokers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.app import preflight_state
from bridge.app.finding import Finding, guarded
from bridge.app.preflight_state import check_state
from bridge.kafka.drivers import KafkaDriver, driver_of
from bridge.kafka.topics import STATE_SEGMENT_BYTES, Topic
from tests.support.factories import settings

TOPIC = Topic("jobs", 3, 3, 1_000_000, 2, None)
STATE = Topic(
    "jobs-bridge-state",
    1,
    3,
    1_000_000,
    2,
    None,
    cleanup_policy="compact",
    segment_bytes=STATE_SEGMENT_BYTES,
)
OWNER = "job-bridge-mine"
SECOND_ID = "job-bridge-mine/2"


class ScriptedRights:
    """Rights and a broker's setting as a test wants them."""

    joins = True
    withheld_id = ""
    longest: int | None = 900_000

    def __init__(self, _: object) -> None:
        pass

    def may_join(self, group: str) -> bool:
        assert group == OWNER
        return self.joins

    def may_use(self, transactional_id: str) -> bool:
        assert transactional_id in (OWNER, SECOND_ID)
        return transactional_id != self.withheld_id

    def broker_setting(self, name: str) -> int | None:
        assert name == "transaction.max.timeout.ms"
        return self.longest


@pytest.fixture(autouse=True)
def rights(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedRights]:
    scripted = type("Rights", (ScriptedRights,), {})
    monkeypatch.setattr(preflight_state, "KafkaRights", scripted)
    return scripted


def checked(state: Topic | None = STATE, version: str = "4.2", **given: Any) -> list[Finding]:
    driver = cast(KafkaDriver, SimpleNamespace(broker_version=lambda _: version))
    config = settings(
        checkpoint__store="kafka", checkpoint__name="mine", kafka__topic="jobs", **given
    )
    return list(check_state(config, driver, TOPIC, state))


def problems(findings: list[Finding]) -> list[tuple[str, str, int]]:
    """Return level, text and exit code of the findings that are not ok."""
    return [
        (finding.level, finding.text, finding.exit_code)
        for finding in findings
        if finding.level != "ok"
    ]


def test_a_topic_as_it_is_created_is_well() -> None:
    assert problems(checked()) == []


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({"partitions": 3}, "warning", "has 3 partitions"),
        ({"replicas": 2}, "warning", "has 2 replica(s), the topic has 3"),
        ({"replicas": 3, "min_insync_replicas": 4}, "failure", "no position can be stored"),
        ({"cleanup_policy": "delete"}, "warning", "cleanup.policy of jobs-bridge-state is delete"),
        ({"cleanup_policy": "compact,delete"}, "warning", "is compact,delete"),
        ({"cleanup_policy": ""}, "warning", "may not read the configuration"),
        ({"segment_bytes": 1 << 30}, "warning", "segment.bytes of jobs-bridge-state is 1073741824"),
        ({"readable": False}, "failure", "let this user read the state topic"),
        ({"writable": False}, "failure", "let this user write the state topic"),
    ],
)
def test_each_fault_of_the_topic_shows(changed: dict[str, Any], level: str, words: str) -> None:
    ((found, text, _),) = problems(checked(replace(STATE, **changed)))

    assert found == level and words in text


def test_a_missing_topic_names_the_command() -> None:
    (failure,) = [finding for finding in checked(None) if finding.level == "failure"]

    assert failure.exit_code == 78 and "'job-bridge topics create' creates it" in failure.todo


def test_a_missing_group_right_is_a_failure(rights: type[ScriptedRights]) -> None:
    rights.joins = False

    ((level, text, code),) = problems(checked())

    assert (level, code) == ("failure", 77) and OWNER in text


@pytest.mark.parametrize("withheld", [OWNER, SECOND_ID])
def test_each_missing_id_is_a_failure(withheld: str, rights: type[ScriptedRights]) -> None:
    rights.withheld_id = withheld

    ((level, text, code),) = problems(checked())

    assert (level, code) == ("failure", 77) and text.split(".")[0].endswith(withheld)


def test_a_missing_library_concerns_the_checkpoint() -> None:
    config = settings(checkpoint__store="kafka", kafka__driver="kafka-python")

    def check() -> Iterator[Finding]:
        driver_of(config).checkpoint_store(config, None)
        yield from ()

    (finding,) = guarded("mongodb", check)

    assert (finding.subject, finding.exit_code) == ("checkpoint", 78)
    assert "pip install" in finding.todo


@pytest.mark.parametrize(("version", "failures"), [("2.6", 1), ("2.7", 0), ("3.10", 0)])
def test_brokers_before_the_fence_are_refused(version: str, failures: int) -> None:
    found = problems(checked(version=version))

    assert [code for _, _, code in found] == failures * [78]


@pytest.mark.parametrize(("longest", "failures"), [(10_000, 1), (15_000, 0), (None, 0)])
def test_a_short_transaction_limit_is_refused(
    longest: int | None, failures: int, rights: type[ScriptedRights]
) -> None:
    rights.longest = longest

    assert [code for _, _, code in problems(checked())] == failures * [78]


@pytest.mark.parametrize(("mode", "hints"), [("exactly-once", 1), ("at-least-once", 0)])
def test_consumers_of_transactions_are_advised(mode: str, hints: int) -> None:
    texts = [finding.text for finding in checked(delivery__mode=mode)]

    assert sum("isolation.level = read_committed" in text for text in texts) == hints
