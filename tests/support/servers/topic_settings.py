"""Settings of topics, as tests write them and as brokers report them."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from bridge.demo.servers.process import poll

TOPIC_SECONDS = 90
_NUMBERS = itertools.count(60_001)


def alter(admin: KafkaAdminClient, topic: str, configs: Mapping[str, Any]) -> None:
    """Change settings and wait until they are in force, see :meth:`Kafka.alter_topic`."""
    for changes in (dotted(configs), {"file.delete.delay.ms": str(next(_NUMBERS))}):
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changes)])
        poll(partial(_shows, admin, topic, changes), f"topic {topic} with {changes}", TOPIC_SECONDS)


def dotted(configs: Mapping[str, Any]) -> dict[str, str]:
    """The settings with dots instead of underscores in their names."""
    return {name.replace("_", "."): str(value) for name, value in configs.items()}


def new_cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _shows(admin: KafkaAdminClient, topic: str, settings: Mapping[str, str]) -> bool:
    described = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all"
    )["topic"][topic]
    return all(described[name]["value"] == value for name, value in settings.items())
