"""Messages of other producers: only one with key, value and identity of ours counts as sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from confluent_kafka import Producer

from bridge.demo.servers.process import poll
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    delivery_cases,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import GOOD
from tests.support.read_back import LeftOut, crash, kill, settle, topic_contents, wait_for_all
from tests.support.topic_contents import ExpectedMessage, stored_messages

#: Each driver reads the topic with its own client.
pytestmark = delivery_cases(AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA)
FLUSH_SECONDS = 30.0
#: A start with a transaction in the topic that does not end.
START_SECONDS = 25.0
PARTITIONS = 3


@dataclass(frozen=True, slots=True)
class ForeignMessage:
    """A message of another producer."""

    key: bytes | None
    value: bytes | None
    identity: bytes | None


def copy_of(message: ExpectedMessage) -> ForeignMessage:
    return ForeignMessage(message.key, message.value, message.trans_id.encode())


def other_value(message: ExpectedMessage) -> ForeignMessage:
    fields = json.loads(message.value)
    return replace(copy_of(message), value=json.dumps(fields | {"state": "canceled"}).encode())


def other_spacing(message: ExpectedMessage) -> ForeignMessage:
    """The same fields, but other bytes than those that are sent."""
    return replace(
        copy_of(message),
        value=json.dumps(json.loads(message.value), separators=(",", ":")).encode(),
    )


def other_identity(message: ExpectedMessage) -> ForeignMessage:
    return replace(copy_of(message), identity=b"another")


def other_key(message: ExpectedMessage) -> ForeignMessage:
    return replace(copy_of(message), key=b"another")


def no_key(message: ExpectedMessage) -> ForeignMessage:
    return replace(copy_of(message), key=None)


def tombstone(message: ExpectedMessage) -> ForeignMessage:
    return replace(copy_of(message), value=None)


def no_headers(message: ExpectedMessage) -> ForeignMessage:
    return replace(copy_of(message), identity=None)


DIFFERENT = (
    other_value,
    other_spacing,
    other_identity,
    other_key,
    no_key,
    tombstone,
    no_headers,
)


@contextmanager
def producing(scenario: FaultScenario, transactional_id: str = "") -> Iterator[Producer]:
    """A producer in an open transaction if it has an id; the messages are flushed at the end."""
    options = {"bootstrap.servers": scenario.kafka.internal, "partitioner": "murmur2"}
    producer = Producer(
        options | ({"transactional.id": transactional_id} if transactional_id else {})
    )
    if transactional_id:
        producer.init_transactions(FLUSH_SECONDS)
        producer.begin_transaction()
    yield producer
    assert producer.flush(FLUSH_SECONDS) == 0


def produce(producer: Producer, topic: str, message: ForeignMessage) -> None:
    headers: list[tuple[str, str | bytes | None]] = []
    if message.identity is not None:
        headers.append(("ce_id", message.identity))
    producer.produce(topic, key=message.key, value=message.value, headers=headers)


def committed_while_down(scenario: FaultScenario) -> list[ExpectedMessage]:
    """The messages of a job that nothing has read yet."""
    job_id = scenario.jobs().add_good()
    return stored_messages(scenario.mongo.uri, scenario.database)[job_id]


def test_a_copy_of_a_message_counts_as_sent(scenario: FaultScenario) -> None:
    """This proves that the copies of the other tests are what the bridge would send."""
    bridge, left_out = crash(scenario), LeftOut()
    with producing(scenario) as producer:
        for message in committed_while_down(scenario):
            produce(producer, scenario.topic, copy_of(message))
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=4 * len(GOOD))
    assert left_out.total == 2 * len(GOOD)


def test_different_messages_do_not_count_as_sent(scenario: FaultScenario) -> None:
    bridge, left_out = crash(scenario), LeftOut()
    with producing(scenario) as producer:
        for change in DIFFERENT:
            for message in committed_while_down(scenario):
                produce(producer, scenario.topic, change(message))
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=(3 + len(DIFFERENT)) * len(GOOD))
    assert left_out.total == len(GOOD)


def test_aborted_messages_do_not_count_as_sent(scenario: FaultScenario) -> None:
    bridge, left_out = crash(scenario), LeftOut()
    with producing(scenario, f"{scenario.topic}-aborted") as producer:
        for message in committed_while_down(scenario):
            produce(producer, scenario.topic, copy_of(message))
        assert producer.flush(FLUSH_SECONDS) == 0
        producer.abort_transaction(FLUSH_SECONDS)
    bridge.start()

    settle(scenario, bridge, left_out)

    topic_contents(scenario, "read_committed").check(at_least=4 * len(GOOD))
    assert left_out.total == len(GOOD)


def test_committed_transactions_count_as_sent(scenario: FaultScenario) -> None:
    bridge, left_out = crash(scenario), LeftOut()
    with producing(scenario, f"{scenario.topic}-committed") as producer:
        for message in committed_while_down(scenario):
            produce(producer, scenario.topic, copy_of(message))
        producer.commit_transaction(FLUSH_SECONDS)
    bridge.start()

    settle(scenario, bridge, left_out)

    topic_contents(scenario, "read_committed").check(at_least=4 * len(GOOD))
    assert left_out.total == 2 * len(GOOD)


@pytest.mark.parametrize("ends", ["aborted", "committed"])
def test_an_open_transaction_delays_no_start(scenario: FaultScenario, ends: str) -> None:
    """Its messages may be aborted later, so they are sent; those after it may be repeated."""
    bridge = scenario.bridge().start().wait_ready()
    scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    with producing(scenario, f"{scenario.topic}-open") as producer:
        for partition in range(PARTITIONS):
            producer.produce(scenario.topic, value=b"open", partition=partition)
        assert producer.flush(FLUSH_SECONDS) == 0
        scenario.jobs().add_good()
        bridge.wait_acked(2 * len(GOOD))
        kill(bridge)
        for message in committed_while_down(scenario):
            produce(producer, scenario.topic, copy_of(message))
        assert producer.flush(FLUSH_SECONDS) == 0

        bridge.start().wait_ready(START_SECONDS)
        wait_for_all(scenario)
        scenario.jobs().add_good()
        wait_for_all(scenario)
        assert bridge.stop() == 0
        if ends == "aborted":
            producer.abort_transaction(FLUSH_SECONDS)
        else:
            producer.commit_transaction(FLUSH_SECONDS)

    found = topic_contents(scenario, "read_committed")
    found.check(repeated_at_most=None, at_least=4 * len(GOOD))


def test_offsets_after_an_open_transaction_delay_no_start(scenario: FaultScenario) -> None:
    """The stored offsets are after the first open transaction, where Kafka withholds records."""
    bridge = scenario.bridge().start().wait_ready()
    with producing(scenario, f"{scenario.topic}-open") as producer:
        for partition in range(PARTITIONS):
            producer.produce(scenario.topic, value=b"open", partition=partition)
        assert producer.flush(FLUSH_SECONDS) == 0

        def stored_after_it() -> bool:
            scenario.jobs().add_good()
            stored = (scenario.checkpoint().get("offsets") or {}).get("by_partition", {})
            return len(stored) == PARTITIONS and min(stored.values()) > 1

        poll(stored_after_it, "stored offsets after the transaction", START_SECONDS)
        kill(bridge)
        bridge.start().wait_ready(START_SECONDS)
        scenario.jobs().add_good()
        wait_for_all(scenario)
        assert bridge.stop() == 0
        producer.abort_transaction(FLUSH_SECONDS)

    topic_contents(scenario, "read_committed").check(repeated_at_most=None, at_least=2 * len(GOOD))
