"""Topics as the bridge sees them, whichever driver looks."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import Misconfigured, NotPermitted

logger = logging.getLogger(__name__)

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


class Topics(Protocol):
    """A look at the cluster's topics; each call connects anew."""

    def describe(self, *names: str) -> dict[str, Topic]:
        """The topics that exist among ``names``. Raises the bridge's errors when no broker answers."""

    def create(self, names: Mapping[str, int], replicas: int) -> list[str]:
        """Create the topics that are missing, with so many partitions each; return their names."""


def admitted(topics: Topics, topic: str, dead_letter_topic: str | None) -> dict[str, Topic]:
    """The topics a sink is going to write to. Raises when the first cannot be; the second is only missed aloud."""
    found = topics.describe(topic, *filter(None, [dead_letter_topic]))
    if topic not in found:
        raise missing(topic)
    if not found[topic].writable:
        raise unwritable(topic)
    if dead_letter_topic and dead_letter_topic not in found:
        logger.warning(
            "the dead-letter topic %s does not exist: a message that needs it will stop the bridge; "
            "'job-bridge topics create' makes it",
            dead_letter_topic,
        )
    return found


def missing(name: str) -> Misconfigured:
    """The error for a topic that is not there."""
    return Misconfigured(
        f"The topic {name} does not exist, or this user may not see it",
        "Nothing was read or sent",
        "'job-bridge topics create' makes it; or set kafka.topic",
    )


def unwritable(name: str) -> NotPermitted:
    """The error for a topic this user may only look at."""
    return NotPermitted(
        f"Kafka does not let this user write to the topic {name}",
        "Nothing was read or sent",
        f"Grant Write on the topics {name} and its -dlq, beside Describe",
        part="kafka",
    )


def too_few_brokers(replicas: int, error: Exception) -> Misconfigured:
    """The error for more replicas than there are brokers."""
    return Misconfigured(
        f"Kafka has fewer brokers than {replicas}: {error}",
        "No topic was made",
        "Give --replicas at most as many as there are brokers",
    )


def number(value: object) -> int | None:
    """A topic's setting as a number; None when it is none."""
    try:
        return int(str(value))
    except ValueError:
        return None
