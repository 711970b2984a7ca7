"""Topics, looked at and made with kafka-python."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from bridge.errors import Misconfigured
from bridge.kafka.kafka_python.client import connection, latest_warning, made
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.topics import Topic, number, too_few_brokers
from bridge.settings import Settings


class KafkaPythonTopics:
    """See :class:`bridge.kafka.topics.Topics`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._words = latest_warning().install()

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        try:
            options = connection(self._settings)
            admin: KafkaAdminClient = made(KafkaAdminClient, **options)
            try:
                yield admin
            finally:
                admin.close()
        except (kafka_errors.KafkaError, OSError) as error:
            raise classify(error, self._words.recent()) from error
        except ValueError as error:
            raise Misconfigured(
                f"kafka.bootstrap_servers does not work: {error}",
                "Nothing was read or sent",
                "It looks like host:9092,other:9092",
            ) from None

    def describe(self, *names: str) -> dict[str, Topic]:
        with self._admin() as admin:
            # Metadata of all topics, never of a named one: naming it may create it.
            there = {topic["name"]: topic for topic in admin.describe_topics(None)}
            found = [name for name in names if name in there]
            configs = _configs(admin, found)
        return {name: _topic(there[name], configs.get(name, {})) for name in found}

    def create(self, names: Mapping[str, int], replicas: int) -> list[str]:
        with self._admin() as admin:
            there = set(admin.list_topics())
            missing = {name: count for name, count in names.items() if name not in there}
            wanted = {
                name: {"num_partitions": count, "replication_factor": replicas}
                for name, count in missing.items()
            }
            try:
                if wanted:
                    admin.create_topics(wanted, wait_for_metadata=True)
            except kafka_errors.InvalidReplicationFactorError as error:
                raise too_few_brokers(replicas, error) from None
        return list(missing)


def _configs(admin: KafkaAdminClient, names: list[str]) -> Mapping[str, Any]:
    """The topics' settings; empty where the user may not see them or the broker has no such request.

    Raises ``KafkaError`` when it did not answer: that tells nothing of the user's rights.
    """
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        found: Mapping[str, Any] = admin.describe_configs(resources, config_filter="all").get(
            "topic", {}
        )
        return found
    except kafka_errors.KafkaError as error:
        if error.retriable:
            raise
        return {}
    except ValueError:
        return {}


def _topic(metadata: Mapping[str, Any], configs: Mapping[str, Any]) -> Topic:
    partitions = metadata["partitions"]
    replicas = min((len(one["replica_nodes"]) for one in partitions), default=0)
    size, insync, retention = (
        number(configs.get(each, {}).get("value"))
        for each in ("max.message.bytes", "min.insync.replicas", "retention.ms")
    )
    allowed = metadata.get("authorized_operations")
    return Topic(
        metadata["name"],
        len(partitions),
        replicas,
        size,
        insync,
        retention,
        not allowed or "WRITE" in allowed,
    )
