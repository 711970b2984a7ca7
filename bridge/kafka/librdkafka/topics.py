"""Describes and creates topics with librdkafka."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, ConfigResource, NewTopic, ResourceType

from bridge.kafka import timeouts
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.client import (
    ClientLogger,
    connection,
    make_latest_warning,
    request_metadata,
)
from bridge.kafka.librdkafka.errors import classify, is_unanswered
from bridge.kafka.topics import (
    TOPIC_EXISTS,
    Overview,
    Topic,
    TopicPlan,
    format_topic_id,
    impossible_topics_error,
    parse_setting,
    refused_topic_error,
)
from bridge.settings import Settings

_POLL_SECONDS = 0.1


class LibrdkafkaTopics:
    """See :class:`bridge.kafka.topics.Topics`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._latest_warning = make_latest_warning()

    @contextmanager
    def _admin(self) -> Iterator[AdminClient]:
        try:
            admin = AdminClient(
                connection(self._settings, self._latest_warning),
                logger=ClientLogger(self._latest_warning),
            )
        except KafkaException as error:
            raise classify(error, self._latest_warning.recent()) from error
        try:
            yield admin
        except KafkaException as error:
            # The client delivers its warnings, which contain the cause, only while it is polled.
            admin.poll(_POLL_SECONDS)
            raise classify(error, self._latest_warning.recent()) from error

    def describe(self, *names: str) -> dict[str, Topic]:
        with self._admin() as admin:
            existing = request_metadata(admin, self._latest_warning).topics
            existing_names = [name for name in names if name in existing]
            if not existing_names:
                return {}
            # Both requests are in flight at once, which shortens the start.
            descriptions = admin.describe_topics(
                TopicCollection(existing_names), include_authorized_operations=True, **_deadline()
            )
            resources = [ConfigResource(ResourceType.TOPIC, name) for name in existing_names]
            configs = {
                resource.name: answer(future) or {}
                for resource, future in admin.describe_configs(resources, **_deadline()).items()
            }
            return {
                name: _topic(existing[name], configs[name], answer(descriptions[name]))
                for name in existing_names
            }

    def overview(self) -> Overview:
        with self._admin() as admin:
            metadata = request_metadata(admin, self._latest_warning)
            return Overview(metadata.topics, len(metadata.brokers))

    def create(
        self, plans: Sequence[TopicPlan], replicas: int, *, validate_only: bool = False
    ) -> list[str]:
        with self._admin() as admin:
            existing = request_metadata(admin, self._latest_warning).topics
            topics = [
                NewTopic(plan.name, plan.partitions, replicas, config=dict(plan.configs))
                for plan in plans
                if plan.name not in existing
            ]
            for name, future in _request_creation(admin, topics, validate_only).items():
                _await_creation(name, future)
        return [topic.topic for topic in topics]


def _deadline() -> dict[str, float]:
    return {"request_timeout": timeouts.REQUEST_SECONDS}


def answer(future: Any) -> Any:
    """Return the broker's answer; None if the user may not have it or the broker is too old.

    Raises:
        KafkaException: The broker did not answer, which does not show whether the user may.
    """
    try:
        return future.result()
    except KafkaException as error:
        if is_unanswered(error):
            raise
        return None


def _request_creation(
    admin: AdminClient, topics: list[NewTopic], validate_only: bool
) -> Mapping[str, Any]:
    """Return a future for the answer of each topic."""
    if not topics:
        return {}
    try:
        answers: Mapping[str, Any] = admin.create_topics(
            topics, validate_only=validate_only, **_deadline()
        )
    except ValueError as error:
        raise impossible_topics_error(str(error)) from None
    return answers


def _await_creation(name: str, future: Any) -> None:
    try:
        future.result()
    except KafkaException as error:
        code, reason = error.args[0].code(), error.args[0].str()
        if refusal := refused_topic_error(name, code, reason):
            raise refusal from None
        if code != TOPIC_EXISTS:
            raise


def _topic(metadata: Any, configs: Mapping[str, Any], description: Any) -> Topic:
    partitions = metadata.partitions.values()
    allowed = description.authorized_operations if description else None

    def setting(name: str) -> int | None:
        return parse_setting(value(name))

    def value(name: str) -> str | None:
        return configs[name].value if name in configs else None

    return Topic(
        metadata.topic,
        len(partitions),
        min((len(partition.replicas) for partition in partitions), default=0),
        max_message_bytes=setting("max.message.bytes"),
        min_insync_replicas=setting("min.insync.replicas"),
        retention_ms=setting("retention.ms"),
        writable=not allowed or AclOperation.WRITE in allowed,
        readable=not allowed or AclOperation.READ in allowed,
        cleanup_policy=value("cleanup.policy") or "",
        segment_bytes=setting("segment.bytes"),
        timestamp_type=value("message.timestamp.type") or "",
        topic_id=_topic_id(description.topic_id) if description else "",
    )


def _topic_id(uuid: Any) -> str:
    parts = (uuid.get_most_significant_bits(), uuid.get_least_significant_bits())
    return format_topic_id(
        int.from_bytes(b"".join(part.to_bytes(8, signed=True) for part in parts))
    )
