"""Topics: looked at before the first message, made on request."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from bridge.config import Config
from bridge.errors import Misconfigured, NotPermitted
from bridge.sink.client import LastWords, connection, made
from bridge.sink.errors import classify

#: What a topic takes unless it says otherwise (Kafka's default of max.message.bytes).
DEFAULT_MAX_MESSAGE_BYTES = 1_048_588


@dataclass(frozen=True, slots=True)
class Topic:
    """``max_message_bytes`` and ``min_insync_replicas`` are None without the right to DescribeConfigs."""

    name: str
    partitions: int
    replicas: int
    max_message_bytes: int | None
    min_insync_replicas: int | None
    retention_ms: int | None
    #: False when the broker says that this user may not; True also where it does not say.
    writable: bool = True

    def takes(self) -> int:
        """The largest message in bytes."""
        return self.max_message_bytes or DEFAULT_MAX_MESSAGE_BYTES


class Topics:
    """A look at the cluster's topics; a context manager around an admin client."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._words = LastWords().install()

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        try:
            options = connection(self._config)
            admin: KafkaAdminClient = made(KafkaAdminClient, **options)
            try:
                yield admin
            finally:
                admin.close()
        except (kafka_errors.KafkaError, OSError) as error:
            raise classify(error, self._words.recent()) from error
        except ValueError as error:
            raise Misconfigured(f"kafka.bootstrap_servers does not work: {error}", "Nothing was read or sent",
                                "It looks like host:9092,other:9092") from None

    def describe(self, *names: str) -> dict[str, Topic]:
        """The topics that exist among ``names``. Raises the bridge's errors when no broker answers."""
        with self._admin() as admin:
            # Metadata of all topics, never of a named one: naming it may create it.
            there = {topic["name"]: topic for topic in admin.describe_topics(None)}
            found = [name for name in names if name in there]
            configs = _configs(admin, found)
        return {name: _topic(there[name], configs.get(name, {})) for name in found}

    def create(self, names: Mapping[str, int], replicas: int) -> list[str]:
        """Create the topics that are missing, with so many partitions each; return their names."""
        with self._admin() as admin:
            there = set(admin.list_topics())
            missing = {name: count for name, count in names.items() if name not in there}
            wanted = {name: {"num_partitions": count, "replication_factor": replicas} for name, count in missing.items()}
            try:
                if wanted:
                    admin.create_topics(wanted, wait_for_metadata=True)
            except kafka_errors.InvalidReplicationFactorError as error:
                raise Misconfigured(f"Kafka has fewer brokers than {replicas}: {error}", "No topic was made",
                                    "Give --replicas at most as many as there are brokers") from None
        return list(missing)


def missing(name: str) -> Misconfigured:
    """The error for a topic that is not there."""
    return Misconfigured(
        f"The topic {name} does not exist, or this user may not see it", "Nothing was read or sent",
        "'job-bridge topics create' makes it; or set kafka.topic",
    )


def unwritable(name: str) -> NotPermitted:
    """The error for a topic this user may only look at."""
    return NotPermitted(
        f"Kafka does not let this user write to the topic {name}", "Nothing was read or sent",
        f"Grant Write on the topics {name} and its -dlq, beside Describe", part="kafka",
    )


def _configs(admin: KafkaAdminClient, names: list[str]) -> Mapping[str, Any]:
    """The topics' settings; empty where the user may not see them or the broker does not tell."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        found: Mapping[str, Any] = admin.describe_configs(resources, config_filter="all").get("topic", {})
        return found
    except (kafka_errors.KafkaError, ValueError):
        return {}


def _topic(metadata: Mapping[str, Any], configs: Mapping[str, Any]) -> Topic:
    partitions = metadata["partitions"]
    replicas = min((len(one["replica_nodes"]) for one in partitions), default=0)
    size, insync, retention = (_number(configs, each) for each in ("max.message.bytes", "min.insync.replicas", "retention.ms"))
    allowed = metadata.get("authorized_operations")
    return Topic(metadata["name"], len(partitions), replicas, size, insync, retention, not allowed or "WRITE" in allowed)


def _number(configs: Mapping[str, Any], name: str) -> int | None:
    try:
        return int(configs[name]["value"])
    except (KeyError, TypeError, ValueError):
        return None
