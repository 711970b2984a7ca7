"""Kafka topics as both drivers describe them."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bridge.errors import RETRIED, Misconfigured, NotPermitted, Retryable
from bridge.hints import Hint
from bridge.logs.recent_warnings import LogText
from bridge.settings.topic_names import STATE_SUFFIX

logger = logging.getLogger(__name__)

#: Kafka's default of max.message.bytes.
DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
#: Kafka never compacts the segment that is written to: small segments keep the topic small.
STATE_SEGMENT_BYTES = 16 * 1024 * 1024

NONE_CREATED = "No topic was created or changed"
#: The error code of Kafka's protocol for a topic that another client has created meanwhile.
TOPIC_EXISTS = 36
_OTHER_NUMBERS = "Choose other values for --partitions and --replicas"
#: The advice for each error code with which Kafka refuses a topic for good.
_REFUSALS = {
    17: "Choose another kafka.topic",  # INVALID_TOPIC_EXCEPTION: its name
    37: _OTHER_NUMBERS,  # INVALID_PARTITIONS
    38: "Set --replicas to at most the number of brokers",  # INVALID_REPLICATION_FACTOR
    40: "Check the defaults of the brokers for topics",  # INVALID_CONFIG
    42: _OTHER_NUMBERS,  # INVALID_REQUEST
    44: _OTHER_NUMBERS,  # POLICY_VIOLATION
}


def state_topic_of(topic: str) -> str:
    """Return the name of the topic that contains the positions of the bridges of ``topic``."""
    return f"{topic}{STATE_SUFFIX}"


def owner_id_of(name: str) -> str:
    """Return the id of a checkpoint's group, and of its transactions."""
    return f"job-bridge-{name}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic; its settings are None if this user lacks DescribeConfigs.

    - ``topic_id``: Changes when a topic is deleted and created again; empty if the broker has no
      ids (before 2.8). Both drivers return the same text.
    - ``writable``: False only if the broker reports that this user may not write.
    """

    name: str
    partitions: int
    replicas: int
    max_message_bytes: int | None
    min_insync_replicas: int | None
    retention_ms: int | None
    writable: bool = True
    topic_id: str = ""
    #: False only if the broker reports that this user may not read.
    readable: bool = True
    #: The setting ``cleanup.policy``; empty if it is unknown.
    cleanup_policy: str = ""
    segment_bytes: int | None = None
    #: The setting ``message.timestamp.type``; empty if it is unknown.
    timestamp_type: str = ""

    @property
    def has_append_times(self) -> bool:
        """Whether a message's time is when the broker wrote it; False also if unknown."""
        return self.timestamp_type == "LogAppendTime"

    @property
    def compacted(self) -> bool:
        """Whether Kafka keeps only the latest message of each key; False also if unknown."""
        return "compact" in self._policies

    @property
    def expires(self) -> bool:
        """Whether Kafka removes old messages of every key; False also if unknown."""
        return "delete" in self._policies

    @property
    def _policies(self) -> list[str]:
        return self.cleanup_policy.replace(" ", "").split(",")

    def message_limit(self) -> int:
        """Return the largest accepted message in bytes: the topic's setting, or Kafka's default."""
        return self.max_message_bytes or DEFAULT_MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic to create.

    Attributes:
        configs: Its settings by Kafka's names; the broker's defaults apply to all others.
    """

    name: str
    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)


def state_topic_plan(topic: str, replicas: int) -> TopicPlan:
    """Return the state topic of ``topic``, of which Kafka keeps the latest record of each name."""
    configs = {
        "cleanup.policy": "compact",
        "segment.bytes": str(STATE_SEGMENT_BYTES),
        # A broker's default may exceed the replicas.
        "min.insync.replicas": "2" if replicas > 2 else "1",
    }
    return TopicPlan(state_topic_of(topic), 1, configs)


class Overview(NamedTuple):
    """The names of all topics that this user may see, and the number of brokers."""

    names: Collection[str]
    brokers: int


class Topics(Protocol):
    """Describes and creates topics; each call opens a connection of its own."""

    def describe(self, *names: str) -> dict[str, Topic]:
        """Return the topics among ``names`` that exist.

        Raises:
            BridgeError: No broker answered, or the broker refused this user.
        """

    def overview(self) -> Overview:
        """Return what the brokers have now.

        Raises:
            BridgeError: No broker answered, or the broker refused this user.
        """

    def create(
        self, plans: Sequence[TopicPlan], replicas: int, *, validate_only: bool = False
    ) -> list[str]:
        """Create the topics that do not exist; return their names.

        Args:
            plans: Any of them may exist.
            replicas: Those of each partition.
            validate_only: Kafka only checks whether it would create them. Some brokers that speak
                Kafka's protocol ignore this, and create them.

        Raises:
            Misconfigured: Kafka refuses one of them, and will not create it later either.
        """


def would_create(plans: Sequence[TopicPlan], replicas: int, overview: Overview) -> list[str]:
    """Return the names of the topics that do not exist, without a request that could create them.

    Raises:
        Misconfigured: Kafka will refuse one of them, for its name or for lack of brokers.
    """
    missing = [plan.name for plan in plans if plan.name not in overview.names]
    for name in missing:
        for other in overview.names:
            if _metric_name(other) == _metric_name(name):
                reason = f"Topic '{name}' collides with existing topic: {other}"
                raise _refused(name, reason, _REFUSALS[17])
        if replicas > overview.brokers:
            reason = f"{replicas} replicas need as many brokers, and there are {overview.brokers}"
            raise _refused(name, reason, _REFUSALS[38])
    return missing


def _metric_name(topic: str) -> str:
    """Return the name of a topic in Kafka's metrics, which no two topics may share."""
    return topic.replace(".", "_")


def require_topics(topics: Topics, topic: str, dead_letter_topic: str | None) -> dict[str, Topic]:
    """Return the topics that a sink writes to; a missing dead-letter topic is only logged.

    Raises:
        Misconfigured: ``topic`` does not exist.
        NotPermitted: This user may not write to ``topic``.
    """
    names = [topic, dead_letter_topic] if dead_letter_topic else [topic]
    existing = topics.describe(*names)
    if topic not in existing:
        raise missing_topic_error(topic)
    if not existing[topic].writable:
        raise write_permission_error(topic)
    if dead_letter_topic and dead_letter_topic not in existing:
        todo = (
            "The first message that needs it will stop the bridge; "
            f"'{Hint.CREATE_TOPICS}' creates it"
        )
        state = f"the dead-letter topic {dead_letter_topic} does not exist"
        logger.warning(LogText(state, todo=todo))
    return existing


def missing_topic_error(name: str) -> Misconfigured:
    """The topic does not exist."""
    return Misconfigured(
        f"The topic {name} does not exist, or this user may not see it",
        "Nothing was read or sent",
        f"'{Hint.CREATE_TOPICS}' creates it; or set kafka.topic",
    )


def deleted_topic_error(name: str) -> Retryable:
    """The topic, or a partition of it, disappeared after a producer was opened."""
    return Retryable(
        f"The topic {name} was deleted, or created again with fewer partitions",
        "Unacknowledged messages are kept, and sent in order when the topic exists",
        f"'{Hint.CREATE_TOPICS}' creates it. {RETRIED}",
        part="kafka",
    )


def write_permission_error(name: str) -> NotPermitted:
    """This user may not write to the topic."""
    return NotPermitted(
        f"Kafka does not let this user write to the topic {name}",
        "Nothing was read or sent",
        f"Grant Write and Describe on {name} and its -dlq, as the script of "
        f"'{Hint.RIGHTS_KAFKA}' does",
        part="kafka",
    )


def refused_topic_error(name: str, code: int, reason: str) -> Misconfigured | None:
    """Return the error for a topic that Kafka will never create; None if waiting may help.

    Args:
        name: The topic.
        code: The error code of Kafka's protocol.
        reason: The broker's text.
    """
    advice = _REFUSALS.get(code)
    return _refused(name, reason or f"error code {code}", advice) if advice else None


def _refused(name: str, reason: str, advice: str) -> Misconfigured:
    what = f"Kafka refuses to create the topic {name}: {reason}"
    return Misconfigured(what, NONE_CREATED, advice, part="kafka")


def impossible_topics_error(reason: str) -> Misconfigured:
    """The client accepts smaller numbers than the options of the command."""
    what = f"The Kafka client cannot create the topics: {reason}"
    return Misconfigured(what, NONE_CREATED, _OTHER_NUMBERS, part="kafka")


def format_topic_id(number: int) -> str:
    """Return the text of a topic's UUID: 32 hexadecimal digits; empty for 0, which is no id."""
    return f"{number:032x}" if number else ""


def parse_setting(value: object) -> int | None:
    """Return a topic's setting as a number; None if it is not a number."""
    try:
        return int(str(value))
    except ValueError:
        return None
