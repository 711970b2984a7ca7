"""The command that creates topics, with a broker's answers made up."""

import json
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from bridge.cli.topics import topics
from bridge.kafka import drivers
from bridge.kafka.topics import Topic, TopicPlan


class ExistingTopic:
    """A broker with the topic ``jobs`` of 3 partitions and 1 replica."""

    def __init__(self) -> None:
        self.created: list[str] = []

    def describe(self, *names: str) -> dict[str, Topic]:
        return {name: Topic(name, 3, 1, None, None, None) for name in names if name == "jobs"}

    def create(self, plans: Sequence[TopicPlan], _: int) -> list[str]:
        self.created = [plan.name for plan in plans if plan.name != "jobs"]
        return self.created


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> ExistingTopic:
    broker = ExistingTopic()
    driver = SimpleNamespace(topics=lambda _: broker)
    monkeypatch.setattr(drivers, "driver_of", lambda _: driver)
    return broker


def create(*options: str) -> str:
    return CliRunner().invoke(topics, ["create", "--kafka-topic", "jobs", *options]).stdout


class TestCreateTopics:
    def test_an_existing_topic_differs_in_partitions(self, broker: ExistingTopic) -> None:
        output = create("--partitions", "6")
        assert "jobs: already exists with 3 partition(s), not 6; it was not changed" in output
        assert broker.created == ["jobs-dlq"]

    def test_an_existing_topic_as_planned(self, broker: ExistingTopic) -> None:
        assert "jobs: already exists\n" in create("--partitions", "3")

    def test_dry_run_creates_nothing(self, broker: ExistingTopic) -> None:
        assert "jobs-dlq: would create with 1 partition(s)" in create("--dry-run")
        assert broker.created == []

    def test_json_contains_the_differences(self, broker: ExistingTopic) -> None:
        first, second = json.loads(create("--json", "--replicas", "3"))
        assert first["differences"] == ["1 replica(s), not 3"]
        assert (first["partitions"], first["replicas"]) == (3, 1)
        assert (second["topic"], second["action"]) == ("jobs-dlq", "created")
