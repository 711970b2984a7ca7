"""The command that creates topics, with a broker's answers made up."""

import json
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from bridge.cli.topics import topics
from bridge.errors import Misconfigured
from bridge.kafka import drivers
from bridge.kafka.topics import Overview, Topic, TopicPlan


class ExistingTopic:
    """A broker with the topic ``jobs`` of 3 partitions and 1 replica."""

    def __init__(self) -> None:
        self.created: list[str] = []
        self.brokers = 1
        self.refusal: Misconfigured | None = None

    def describe(self, *names: str) -> dict[str, Topic]:
        return {name: Topic(name, 3, 1, None, None, None) for name in names if name == "jobs"}

    def overview(self) -> Overview:
        return Overview(["jobs"], self.brokers)

    def create(
        self, plans: Sequence[TopicPlan], _: int, *, validate_only: bool = False
    ) -> list[str]:
        names = [plan.name for plan in plans if plan.name != "jobs"]
        if self.refusal:
            raise self.refusal
        if not validate_only:
            self.created = names
        return names


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

    def test_dry_run_asks_for_no_creation(self, broker: ExistingTopic) -> None:
        """A broker that ignores validate_only would create the topics."""
        broker.refusal = Misconfigured("Kafka refuses to create the topic jobs-dlq")
        assert "jobs-dlq: would create" in create("--dry-run")

    @pytest.mark.parametrize(
        ("brokers", "options", "words"),
        [
            (2, ("--replicas", "3"), "jobs-dlq: 3 replicas need as many brokers, and there are 2"),
            (1, ("--kafka-topic", "other"), ""),
        ],
    )
    def test_dry_run_fails_where_the_creation_would(
        self, brokers: int, options: tuple[str, ...], words: str, broker: ExistingTopic
    ) -> None:
        broker.brokers = brokers
        arguments = ["create", "--kafka-topic", "jobs", "--dry-run", *options]
        result = CliRunner().invoke(topics, arguments)
        assert words in str(result.exception or "") and bool(result.exception) == bool(words)

    @pytest.mark.parametrize("numbers", [("--partitions", "2147483648"), ("--replicas", "32768")])
    def test_larger_numbers_than_the_protocols(self, numbers: tuple[str, str]) -> None:
        result = CliRunner().invoke(topics, ["create", *numbers])
        assert result.exit_code == 2 and "is not in the range" in result.stderr
