"""Describes and creates topics with kafka-python."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.protocol.broker_version_data import infer_broker_version_from_api_versions

from bridge.errors import Misconfigured
from bridge.kafka.kafka_python.client import connection, make_client, make_latest_warning
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.topics import (
    TOPIC_EXISTS,
    Overview,
    Topic,
    TopicPlan,
    format_topic_id,
    parse_setting,
    refused_topic_error,
)
from bridge.settings import Settings


class KafkaPythonTopics:
    """See :class:`bridge.kafka.topics.Topics`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._latest_warning = make_latest_warning()

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        try:
            options = connection(self._settings)
            admin: KafkaAdminClient = make_client(KafkaAdminClient, self._latest_warning, **options)
            try:
                yield admin
            finally:
                admin.close()
        except (kafka_errors.KafkaError, OSError) as error:
            raise classify(error, self._latest_warning.recent()) from error
        except ValueError as error:
            raise Misconfigured(
                f"kafka.bootstrap_servers is not valid: {error}",
                "Nothing was read or sent",
                "Write it as host1:9092,host2:9092",
            ) from None

    def describe(self, *names: str) -> dict[str, Topic]:
        with self._admin() as admin:
            # All topics are requested: a request for a missing topic may create it.
            existing = {topic["name"]: topic for topic in admin.describe_topics(None)}
            existing_names = [name for name in names if name in existing]
            configs = describe_configs(admin, existing_names)
        return {name: _topic(existing[name], configs.get(name, {})) for name in existing_names}

    def broker_version(self) -> str:
        """Return the first two numbers of a broker's version, as in 4.2.

        A broker does not report its version: kafka-python infers it from the supported requests.
        A newer broker than kafka-python knows counts as the newest known.
        """
        with self._admin() as admin:
            version = infer_broker_version_from_api_versions(admin.api_versions())
        return ".".join(map(str, version))

    def overview(self) -> Overview:
        with self._admin() as admin:
            return Overview(admin.list_topics(), len(admin.describe_cluster()["brokers"]))

    def create(
        self, plans: Sequence[TopicPlan], replicas: int, *, validate_only: bool = False
    ) -> list[str]:
        with self._admin() as admin:
            existing = set(admin.list_topics())
            specifications = {
                plan.name: {
                    "num_partitions": plan.partitions,
                    "replication_factor": replicas,
                    "configs": dict(plan.configs),
                }
                for plan in plans
                if plan.name not in existing
            }
            if specifications:
                # Its own exceptions contain the request, and not the broker's reason.
                response = admin.create_topics(
                    specifications, validate_only=validate_only, raise_errors=False
                )
                for topic in response["topics"]:
                    _check_creation(topic)
                if not validate_only:
                    admin.wait_for_topics(list(specifications))
        return list(specifications)


def _check_creation(topic: Mapping[str, Any]) -> None:
    code, reason = topic["error_code"], topic.get("error_message") or ""
    if refusal := refused_topic_error(topic["name"], code, reason):
        raise refusal
    if code not in (0, TOPIC_EXISTS):
        raise kafka_errors.for_code(code)(reason)


def describe_configs(admin: KafkaAdminClient, names: list[str]) -> Mapping[str, Any]:
    """Return the topics' settings; empty if the user may not see them or the broker is too old.

    Raises:
        KafkaError: The broker did not answer, which does not show whether the user may see them.
    """
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        configs = admin.describe_configs(resources, config_filter="all")
    except kafka_errors.KafkaError as error:
        if error.retriable:
            raise
        return {}
    except ValueError:
        return {}
    topics: Mapping[str, Any] = configs.get("topic", {})
    return topics


def _topic(metadata: Mapping[str, Any], configs: Mapping[str, Any]) -> Topic:
    partitions = metadata["partitions"]
    allowed = metadata.get("authorized_operations")

    def setting(name: str) -> int | None:
        return parse_setting(value(name))

    def value(name: str) -> object:
        return configs.get(name, {}).get("value")

    return Topic(
        metadata["name"],
        len(partitions),
        min((len(partition["replica_nodes"]) for partition in partitions), default=0),
        max_message_bytes=setting("max.message.bytes"),
        min_insync_replicas=setting("min.insync.replicas"),
        retention_ms=setting("retention.ms"),
        writable=not allowed or "WRITE" in allowed,
        topic_id=format_topic_id(UUID(metadata["topic_id"]).int if metadata.get("topic_id") else 0),
        readable=not allowed or "READ" in allowed,
        cleanup_policy=str(value("cleanup.policy") or ""),
        segment_bytes=setting("segment.bytes"),
        timestamp_type=str(value("message.timestamp.type") or ""),
    )
