"""The part of ``job-bridge check`` that checks the store of the position in Kafka."""

from collections.abc import Iterator
from functools import partial

from bridge.app.finding import Finding, failure, guarded
from bridge.kafka.drivers import KafkaDriver
from bridge.kafka.errors import (
    old_broker_error,
    transaction_limit_error,
)
from bridge.kafka.kafka_python.rights import KafkaRights, owner_rights
from bridge.kafka.state_errors import (
    missing_state_topic_error,
    state_permission_error,
)
from bridge.kafka.timeouts import TRANSACTION_SECONDS, milliseconds
from bridge.kafka.topics import STATE_SEGMENT_BYTES, Topic, owner_id_of, state_topic_of
from bridge.model.checkpoint_name import with_checkpoint_name
from bridge.settings import Settings

#: Brokers before it may let a fenced producer come back (KIP-588).
_FIRST_VERSION = (2, 7)
_MAX_TRANSACTION = "transaction.max.timeout.ms"


def check_state(
    settings: Settings, driver: KafkaDriver, topic: Topic | None, state: Topic | None
) -> Iterator[Finding]:
    """Yield findings about the state topic, the group and the transactional id.

    Args:
        settings: The settings, with ``checkpoint.store = kafka``.
        driver: The Kafka client.
        topic: The topic of the messages; None if it does not exist.
        state: The state topic; None if it does not exist.
    """
    yield from guarded("transactions", partial(_brokers, settings, driver))
    if state is None:
        name = state_topic_of(settings.kafka.topic)
        yield failure("state topic", missing_state_topic_error(name))
    else:
        yield from _state_topic(state, topic)
    yield from guarded("owner", partial(_rights, settings))
    if settings.delivery.mode == "exactly-once":
        yield _CONSUMERS


_CONSUMERS = Finding(
    "ok",
    "consumers",
    "consumers that set isolation.level = read_committed see each transition once; others also see "
    "the messages of aborted transactions",
)


def _brokers(settings: Settings, driver: KafkaDriver) -> Iterator[Finding]:
    version = driver.broker_version(settings)
    if tuple(map(int, version.split("."))) < _FIRST_VERSION:
        raise old_broker_error(f"{settings.kafka.bootstrap_servers} ({version})")
    needed = milliseconds(TRANSACTION_SECONDS)
    longest = KafkaRights(settings).broker_setting(_MAX_TRANSACTION)
    if longest is None:
        text = f"this user may not read the brokers' {_MAX_TRANSACTION}; the bridge needs {needed}"
        yield Finding("ok", "transactions", text)
    elif longest < needed:
        raise transaction_limit_error(f"The brokers have {_MAX_TRANSACTION} = {longest}", needed)
    else:
        text = f"the brokers have {_MAX_TRANSACTION} = {longest}, the bridge needs {needed}"
        yield Finding("ok", "transactions", text)


def _state_topic(state: Topic, topic: Topic | None) -> Iterator[Finding]:
    sizes = f"{state.partitions} partition(s), {state.replicas} replica(s)"
    yield Finding("ok", "state topic", f"{state.name}, {sizes}")
    for allowed, operation in ((state.readable, "Read"), (state.writable, "Write")):
        if not allowed:
            yield failure("state topic", state_permission_error(state.name, operation))
    if state.partitions != 1:
        yield Finding(
            "warning",
            "state topic",
            f"{state.name} has {state.partitions} partitions; only the first is used",
            "nothing; a new state topic needs 1 partition",
        )
    if topic is not None and state.replicas < topic.replicas:
        yield Finding(
            "warning",
            "state topic",
            f"{state.name} has {state.replicas} replica(s), the topic has {topic.replicas}: a loss "
            "that the messages survive may take the position",
            f"use {topic.replicas} replicas",
        )
    yield from _settings(state)


def _settings(state: Topic) -> Iterator[Finding]:
    if not state.cleanup_policy:
        yield Finding(
            "warning",
            "state topic",
            f"this user may not read the configuration of {state.name}",
            "grant DescribeConfigs on it, and check that cleanup.policy is compact",
        )
        return
    if not state.compacted or state.expires:
        yield Finding(
            "warning",
            "state topic",
            f"cleanup.policy of {state.name} is {state.cleanup_policy}: Kafka removes the position "
            "of a bridge that is down for longer than retention.ms, or keeps every record",
            "set cleanup.policy = compact",
        )
    if (needed := state.min_insync_replicas or 1) > state.replicas:
        yield Finding(
            "failure",
            "state topic",
            f"min.insync.replicas {needed} with {state.replicas} replica(s): "
            "no position can be stored",
            "lower min.insync.replicas or add replicas",
            75,
        )
    if state.segment_bytes is not None and state.segment_bytes > 4 * STATE_SEGMENT_BYTES:
        yield Finding(
            "warning",
            "state topic",
            f"segment.bytes of {state.name} is {state.segment_bytes}: Kafka never compacts the "
            "last segment, so the topic grows to that size",
            f"set segment.bytes = {STATE_SEGMENT_BYTES}",
        )


def _rights(settings: Settings) -> Iterator[Finding]:
    owner_id = owner_id_of(with_checkpoint_name(settings).checkpoint.name)
    for right, error in owner_rights(KafkaRights(settings), owner_id):
        if error is None:
            yield Finding("ok", "owner", f"this user {right}")
        else:
            yield failure("owner", error)
