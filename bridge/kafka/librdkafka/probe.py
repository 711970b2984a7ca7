"""Asks about a topic with librdkafka."""

from collections.abc import Mapping
from concurrent.futures import TimeoutError as NoAnswer
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, ConfigResource, ResourceType

from bridge.kafka import timeouts
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.client import ClientLogger, connection, make_latest_warning
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.librdkafka.topics import answer
from bridge.kafka.probe import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    RECONNECT_SECONDS,
    TopicState,
    admit,
)
from bridge.kafka.topics import parse_setting
from bridge.settings import Settings

_MIN_INSYNC = "min.insync.replicas"
#: How long to collect the client's warnings: its errors do not contain the cause.
_WARNING_SECONDS = 0.1


class LibrdkafkaProbe:
    """See :class:`bridge.kafka.probe.TopicProbe`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.kafka.topic
        self._latest_warning = make_latest_warning()
        self._client: AdminClient | None = None

    def check(self) -> None:
        try:
            state = self._ask()
        except (KafkaException, NoAnswer) as error:
            if self._client is not None:
                self._client.poll(_WARNING_SECONDS)
            self.close()
            raise classify(error, self._latest_warning.recent(CONNECT_SECONDS)) from None
        admit(self._topic, state)

    def close(self) -> None:
        self._client = None

    def _ask(self) -> TopicState | None:
        seconds = ANSWER_SECONDS
        if self._client is None:
            seconds = CONNECT_SECONDS
            self._client = self._make_client()
        # The request forbids the broker to create the topic.
        descriptions = self._client.describe_topics(
            TopicCollection([self._topic]),
            include_authorized_operations=True,
            request_timeout=seconds,
        )
        resource = ConfigResource(ResourceType.TOPIC, self._topic)
        (configs,) = self._client.describe_configs([resource], request_timeout=seconds).values()
        try:
            return _state(descriptions[self._topic].result(seconds + 1), answer(configs) or {})
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise

    def _make_client(self) -> AdminClient:
        options = connection(self._settings, self._latest_warning) | {
            "reconnect.backoff.max.ms": timeouts.milliseconds(RECONNECT_SECONDS),
        }
        return AdminClient(options, logger=ClientLogger(self._latest_warning))


def _state(description: Any, configs: Mapping[str, Any]) -> TopicState:
    partitions = description.partitions
    allowed = description.authorized_operations
    return TopicState(
        len(partitions),
        tuple(partition.id for partition in partitions if partition.leader is None),
        writable=not allowed or AclOperation.WRITE in allowed,
        in_sync={partition.id: len(partition.isr) for partition in partitions},
        needed=parse_setting(configs[_MIN_INSYNC].value) if _MIN_INSYNC in configs else None,
    )
