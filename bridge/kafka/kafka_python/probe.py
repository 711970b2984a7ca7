"""Asks about a topic with kafka-python."""

import gc
from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from bridge.kafka import timeouts
from bridge.kafka.kafka_python.client import connection, make_client, make_latest_warning
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.kafka_python.topics import describe_configs
from bridge.kafka.probe import ANSWER_SECONDS, CONNECT_SECONDS, RECONNECT_SECONDS, TopicState, admit
from bridge.kafka.topics import parse_setting
from bridge.settings import Settings


class KafkaPythonProbe:
    """See :class:`bridge.kafka.probe.TopicProbe`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.kafka.topic
        self._latest_warning = make_latest_warning()
        self._client: KafkaAdminClient | None = None

    def check(self) -> None:
        try:
            self._client = self._client or self._connect()
            # The request forbids the broker to create the topic.
            (metadata,) = self._client.describe_topics([self._topic])
            configs = describe_configs(self._client, [self._topic])
            state = self._state(metadata, configs.get(self._topic, {}))
        except (kafka_errors.KafkaError, OSError, ValueError) as error:
            self.close()
            # A client that failed leaves sockets in reference cycles.
            gc.collect()
            raise classify(error, self._latest_warning.recent(CONNECT_SECONDS)) from None
        admit(self._topic, state)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self) -> KafkaAdminClient:
        options = connection(self._settings) | {
            "bootstrap_timeout_ms": timeouts.milliseconds(CONNECT_SECONDS),
            "request_timeout_ms": timeouts.milliseconds(ANSWER_SECONDS),
            "reconnect_backoff_max_ms": timeouts.milliseconds(RECONNECT_SECONDS),
        }
        client: KafkaAdminClient = make_client(KafkaAdminClient, self._latest_warning, **options)
        return client

    def _state(self, metadata: Mapping[str, Any], configs: Mapping[str, Any]) -> TopicState | None:
        error = kafka_errors.for_code(metadata["error_code"])
        if error is kafka_errors.UnknownTopicOrPartitionError:
            return None
        # Partitions without a leader are described as such, and may be the topic's error too.
        if error not in (kafka_errors.NoError, kafka_errors.LeaderNotAvailableError):
            raise error(self._topic)
        partitions = metadata["partitions"]
        allowed = metadata.get("authorized_operations")
        return TopicState(
            len(partitions),
            tuple(
                partition["partition_index"]
                for partition in partitions
                if partition["leader_id"] < 0
            ),
            writable=not allowed or "WRITE" in allowed,
            in_sync={
                partition["partition_index"]: len(partition["isr_nodes"])
                for partition in partitions
            },
            needed=parse_setting(configs.get("min.insync.replicas", {}).get("value")),
        )
