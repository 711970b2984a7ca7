"""Topics, looked at and made with librdkafka."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource, NewTopic, ResourceType

from bridge.kafka import timeouts
from bridge.kafka.librdkafka.client import LOGGER, connection, latest_warning, metadata
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.topics import Topic, number, too_few_brokers
from bridge.settings import Settings

_UNANSWERED = frozenset(
    {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT}
)


class LibrdkafkaTopics:
    """See :class:`bridge.kafka.topics.Topics`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._words = latest_warning().install()

    @contextmanager
    def _admin(self) -> Iterator[AdminClient]:
        try:
            yield AdminClient(
                connection(self._settings, self._words), logger=logging.getLogger(LOGGER)
            )
        except KafkaException as error:
            raise classify(error, self._words.recent()) from error

    def describe(self, *names: str) -> dict[str, Topic]:
        with self._admin() as admin:
            there = metadata(admin, self._words).topics
            found = [name for name in names if name in there]
            if not found:
                return {}
            # Asked side by side: each takes a moment of the start.
            allowed = admin.describe_topics(
                TopicCollection(found), include_authorized_operations=True, **_within()
            )
            described = admin.describe_configs(
                [ConfigResource(ResourceType.TOPIC, name) for name in found], **_within()
            )
            configs = {
                resource.name: _answer(future) or {} for resource, future in described.items()
            }
            return {
                name: _topic(there[name], configs[name], _answer(allowed[name])) for name in found
            }

    def create(self, names: Mapping[str, int], replicas: int) -> list[str]:
        with self._admin() as admin:
            there = metadata(admin, self._words).topics
            missing = [name for name in names if name not in there]
            if missing:
                made = admin.create_topics(
                    [NewTopic(name, names[name], replicas) for name in missing], **_within()
                )
                for future in made.values():
                    _created(future, replicas)
        return missing


def _within() -> dict[str, float]:
    return {"request_timeout": timeouts.REQUEST_SECONDS}


def _answer(future: Any) -> Any:
    """What the broker tells; None where the user may not know it or the broker has no such request.

    Raises ``KafkaException`` when it did not answer: that tells nothing of the user's rights.
    """
    try:
        return future.result()
    except KafkaException as error:
        if error.args[0].code() in _UNANSWERED:
            raise
        return None


def _created(future: Any, replicas: int) -> None:
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR:
            raise too_few_brokers(replicas, error) from None
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _topic(metadata: Any, configs: Mapping[str, Any], description: Any) -> Topic:
    partitions = metadata.partitions.values()
    replicas = min((len(one.replicas) for one in partitions), default=0)
    size, insync, retention = (
        number(configs[each].value) if each in configs else None
        for each in ("max.message.bytes", "min.insync.replicas", "retention.ms")
    )
    allowed = description.authorized_operations if description else None
    return Topic(
        metadata.topic,
        len(partitions),
        replicas,
        size,
        insync,
        retention,
        not allowed or AclOperation.WRITE in allowed,
    )
