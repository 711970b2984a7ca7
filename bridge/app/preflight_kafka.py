"""The part of ``job-bridge check`` that checks Kafka."""

import time
from collections.abc import Iterator
from functools import partial

from bridge.app.finding import Finding, failure, guarded
from bridge.app.preflight_state import check_state
from bridge.app.tested_versions import KAFKA, with_note
from bridge.errors import BridgeError, NotPermitted, Retryable
from bridge.hints import Hint
from bridge.kafka.drivers import KafkaDriver, driver_of
from bridge.kafka.errors import read_permission_error
from bridge.kafka.topics import (
    DEFAULT_MAX_MESSAGE_BYTES,
    Topic,
    missing_topic_error,
    state_topic_of,
    write_permission_error,
)
from bridge.settings import Settings

_HOUR_MS = 3_600_000
_SHORT_RETENTION_HOURS = 24
_SENT_AGAIN = "after a crash, the messages since the last stored position are sent again"
_SINGLE_REPLICA = Finding(
    "warning",
    "topic",
    "each partition has a single replica: without its broker nothing can be sent, "
    "and the loss of its disk loses messages",
    "use 3 replicas and min.insync.replicas = 2, if the cluster has 3 brokers",
)
_COMPACTED = Finding(
    "warning",
    "topic",
    "cleanup.policy contains compact: Kafka removes all messages of a job but the latest, "
    "so slow consumers miss transitions, verify compares latest messages only, "
    f"and '{Hint.VERIFY_REPAIR}' is refused",
    "set cleanup.policy = delete, unless consumers need only the latest state of a job",
)


def check_kafka(settings: Settings) -> Iterator[Finding]:
    """Yield findings about the brokers, the topic and its dead-letter topic."""
    name = settings.kafka.topic
    dead_letters = f"{name}-dlq"
    driver = driver_of(settings)
    state_topic = state_topic_of(name) if settings.uses_state_topic else ""
    names = filter(None, (name, dead_letters, state_topic))
    topics = driver.topics(settings).describe(*names)
    state = topics.pop(state_topic, None)
    servers = settings.kafka.bootstrap_servers
    yield Finding("ok", "kafka", f"{driver} reaches {servers}, {_version(settings, driver)}")
    if name in topics:
        yield from _topic(topics[name])
    else:
        yield failure("topic", missing_topic_error(name))
    if name in topics and not settings.keeps_no_position:
        yield from guarded("read back", partial(_read_back, settings, driver, topics[name]))
    if settings.verify.every != "never" and name in topics:
        for topic in topics.values():
            yield from guarded("verify", partial(_readable, settings, driver, topic))
    yield _dead_letters(dead_letters, topics.get(dead_letters))
    if state_topic:
        yield from check_state(settings, driver, topics.get(name), state)


def _version(settings: Settings, driver: KafkaDriver) -> str:
    try:
        return with_note(driver.broker_version(settings), KAFKA)
    except BridgeError as error:
        return f"version unknown ({error.what})"


def _dead_letters(name: str, topic: Topic | None) -> Finding:
    if topic is None:
        return Finding(
            "warning",
            "dead letters",
            f"the topic {name} does not exist: a message that needs it would stop the bridge",
            f"'{Hint.CREATE_TOPICS}'",
        )
    if not topic.writable:
        return Finding(
            "warning",
            "dead letters",
            f"this user may not write to {name}: a message that needs it would stop the bridge",
            "grant Write on it",
        )
    return Finding("ok", "dead letters", f"topic {name}, {topic.partitions} partition(s)")


def _read_back(settings: Settings, driver: KafkaDriver, topic: Topic) -> Iterator[Finding]:
    if settings.kafka.read_back == "off":
        yield Finding("ok", "read back", f"not used (kafka.read_back = off): {_SENT_AGAIN}")
        return
    try:
        _read(settings, driver, topic)
    except NotPermitted:
        yield Finding(
            "warning",
            "read back",
            f"this user may not read {topic.name}: {_SENT_AGAIN}",
            "grant Read on it, or set kafka.read_back = off",
        )
    else:
        text = f"this user may read {topic.name}: what it contains after a crash is not sent again"
        yield Finding("ok", "read back", text)


def _readable(settings: Settings, driver: KafkaDriver, topic: Topic) -> Iterator[Finding]:
    _read(settings, driver, topic)
    yield Finding("ok", "verify", f"this user may read {topic.name}")


def _read(settings: Settings, driver: KafkaDriver, topic: Topic) -> None:
    """Read the newest records. Raises the errors of reading."""
    if not topic.readable:  # Without new records, nothing is read that could be refused.
        raise read_permission_error("the topic's ACLs do not contain Read")
    with driver.reader(settings) as reader:
        reader.count(topic.name, time.time())
        for _ in reader.read(topic.name, time.time() - 1):
            break


def _topic(topic: Topic) -> Iterator[Finding]:
    sizes = f"{topic.partitions} partition(s), {topic.replicas} replica(s)"
    yield Finding("ok", "topic", f"{topic.name}, {sizes}")
    if not topic.writable:
        yield failure("topic", write_permission_error(topic.name))
    if topic.replicas == 1:
        yield _SINGLE_REPLICA
    if topic.compacted:
        yield _COMPACTED
    if topic.max_message_bytes is None:
        yield Finding(
            "warning",
            "topic",
            "this user may not read the topic's configuration; "
            f"the bridge assumes max.message.bytes = {DEFAULT_MAX_MESSAGE_BYTES}",
            "grant DescribeConfigs on the topic",
        )
        return
    yield Finding("ok", "topic", f"max.message.bytes {topic.max_message_bytes}")
    yield _replication(topic)
    if topic.retention_ms is not None and topic.retention_ms >= 0:
        yield _retention(topic.retention_ms / _HOUR_MS)


def _replication(topic: Topic) -> Finding:
    needed = topic.min_insync_replicas or 1
    present = f"min.insync.replicas {needed} with {topic.replicas} replica(s)"
    if needed > topic.replicas:
        return Finding(
            "failure",
            "topic",
            f"{present}: no write can succeed",
            "lower min.insync.replicas or add replicas",
            Retryable.exit_code,
        )
    if topic.replicas > 1 and needed < 2:
        return Finding(
            "warning",
            "topic",
            f"{present}: the loss of one broker may lose a message",
            "set min.insync.replicas to 2",
        )
    return Finding("ok", "topic", present)


def _retention(hours: float) -> Finding:
    text = f"keeps messages for {hours:.0f} hours"
    if hours < _SHORT_RETENTION_HOURS:
        todo = "raise retention.ms: a consumer that is down for longer misses messages"
        return Finding("warning", "topic", text, todo)
    return Finding("ok", "topic", text)
