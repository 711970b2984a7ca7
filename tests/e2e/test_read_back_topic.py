"""A topic that changed while the bridge was dead: less may be found, nothing is lost."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer
from kafka import TopicPartition
from kafka.admin import NewPartitions

from bridge.demo.servers.process import poll
from tests.support.delivery_case import (
    ONE_DELIVERY,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import GOOD
from tests.support.read_back import (
    LeftOut,
    crash,
    kill,
    pass_by,
    settle,
)
from tests.support.servers.kafka import Kafka
from tests.support.topic_contents import stored_messages

pytestmark = ONE_DELIVERY
PARTITIONS = 3
FLUSH_SECONDS = 30.0
COMPACTION_SECONDS = 60.0
#: The fields of a checkpoint that bridges before 0.3 do not write.
NEW_FIELDS = ("offsets", "clean", "unconfirmed")
ODD = b'{"job_id": "odd", "state": "odd", "trans_id": "odd"}'
#: 1970 and 2100, in milliseconds.
ODD_TIMES = (1, 4_102_444_800_000)
EVERY_TIME = str(2**63 - 1)


def produce(kafka: Kafka, topic: str, count: int = 1, timestamp: int = 0) -> None:
    """Append messages of another program to each partition."""
    producer = Producer({"bootstrap.servers": kafka.internal})
    for partition in range(PARTITIONS):
        for number in range(count):
            producer.produce(
                topic, key=f"{number}", value=ODD, partition=partition, timestamp=timestamp
            )
    assert producer.flush(FLUSH_SECONDS) == 0


def make_topic_again(scenario: FaultScenario) -> None:
    """Delete the topic and create another of the same name."""
    kafka, topic = scenario.kafka, scenario.topic
    kafka.delete_topic(topic)
    with kafka.admin() as admin:
        poll(lambda: topic not in admin.list_topics(), "no topic")
    kafka.create_topic(topic, partitions=PARTITIONS, message_timestamp_type="LogAppendTime")


def empty_topic(scenario: FaultScenario) -> None:
    """Delete every record; the offsets stay."""
    partitions = [TopicPartition(scenario.topic, number) for number in range(PARTITIONS)]
    with scenario.kafka.admin() as admin:
        admin.delete_records(dict.fromkeys(partitions, -1))
    assert scenario.kafka.read(scenario.topic) == []


def job_ids(scenario: FaultScenario) -> list[str]:
    """The ids of all jobs, in the order of their creation."""
    return [job["id"] for job in scenario.client[scenario.database]["jobs"].find().sort("_id")]


def test_an_emptied_topic_gets_everything_again(scenario: FaultScenario) -> None:
    """The stored offsets are the end of the topic, which is still there."""
    bridge, left_out = crash(scenario), LeftOut()
    empty_topic(scenario)
    first, second = job_ids(scenario)
    bridge.start()

    pass_by(scenario, bridge, left_out)

    assert scenario.published_states(second) == list(GOOD)
    assert scenario.published_states(first) == []
    assert left_out.total == 0


@pytest.mark.parametrize("others", [0, 10], ids=["shorter", "longer"])
def test_a_topic_made_again_gets_everything_again(scenario: FaultScenario, others: int) -> None:
    """Whether its offsets reach the stored ones or not."""
    bridge, left_out = crash(scenario), LeftOut()
    make_topic_again(scenario)
    produce(scenario.kafka, scenario.topic, others)
    first, second = job_ids(scenario)
    bridge.start()

    pass_by(scenario, bridge, left_out)

    assert scenario.published_states(second) == list(GOOD)
    assert scenario.published_states(first) == []
    assert left_out.total == 0


def test_a_second_crash_in_a_topic_made_again(scenario: FaultScenario) -> None:
    """Offsets of the deleted topic do not hide the messages of the new one."""
    bridge, left_out = crash(scenario), LeftOut()
    make_topic_again(scenario)
    _, second = job_ids(scenario)
    bridge.start()
    poll(lambda: scenario.published_states(second) == list(GOOD), "the uncovered job")
    bridge.wait_acked(len(GOOD))
    kill(bridge)
    bridge.start()

    pass_by(scenario, bridge, left_out)

    assert scenario.published_states(second) == list(GOOD)
    assert left_out.total == len(GOOD)


def test_added_partitions_lose_nothing(scenario: FaultScenario) -> None:
    bridge, left_out = crash(scenario), LeftOut()
    with scenario.kafka.admin() as admin:
        admin.create_partitions({scenario.topic: NewPartitions(2 * PARTITIONS)})
    scenario.jobs().add_good()
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=4 * len(GOOD))
    assert left_out.total == len(GOOD)


def test_a_compacted_topic_ends_with_the_latest_state(scenario: FaultScenario) -> None:
    """Only the last message of the job is left, so the others are sent after it.

    If that one were left out, the topic would end with an earlier state for ever.
    """
    scenario.kafka.alter_topic(
        scenario.topic,
        cleanup_policy="compact",
        segment_ms="500",
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms="1000",
    )
    bridge, left_out = crash(scenario), LeftOut()
    _, second = job_ids(scenario)
    time.sleep(0.6)  # the age of a segment, after which the next message closes it
    produce(scenario.kafka, scenario.topic)
    poll(lambda: scenario.published_states(second) == [GOOD[-1]], "compaction", COMPACTION_SECONDS)
    bridge.start()

    pass_by(scenario, bridge, left_out)

    assert set(scenario.published_states(second)) == set(GOOD)
    assert scenario.published_states(second)[-1] == GOOD[-1]


def test_records_deleted_in_part_keep_the_order(scenario: FaultScenario) -> None:
    """The last message of the job is still there, those before it are not."""
    bridge, left_out = crash(scenario), LeftOut()
    _, second = job_ids(scenario)
    (last,) = (
        record
        for record in scenario.kafka.read(scenario.topic)
        if record.value == stored_messages(scenario.mongo.uri, scenario.database)[second][-1].value
    )
    with scenario.kafka.admin() as admin:
        admin.delete_records({TopicPartition(scenario.topic, last.partition): last.offset})
    bridge.start()

    pass_by(scenario, bridge, left_out)

    assert set(scenario.published_states(second)) == set(GOOD)
    assert scenario.published_states(second)[-1] == GOOD[-1]


@pytest.mark.parametrize("timestamp", ODD_TIMES)
def test_an_older_checkpoint_is_read_by_time(scenario: FaultScenario, timestamp: int) -> None:
    """Also where each partition starts with a message of an odd time."""
    scenario.kafka.alter_topic(
        scenario.topic,
        message_timestamp_type="CreateTime",
        message_timestamp_after_max_ms=EVERY_TIME,
    )
    produce(scenario.kafka, scenario.topic, timestamp=timestamp)
    bridge, left_out = crash(scenario), LeftOut()
    remove_new_fields(scenario)
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=3 * len(GOOD))
    assert left_out.total == len(GOOD)


def test_an_older_clean_stop_repeats_nothing(scenario: FaultScenario) -> None:
    bridge, left_out = scenario.bridge().start().wait_ready(), LeftOut()
    scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    assert bridge.stop() == 0
    remove_new_fields(scenario)
    bridge.start()

    settle(scenario, bridge, left_out).check(at_least=2 * len(GOOD))


def remove_new_fields(scenario: FaultScenario) -> None:
    """Make the stored checkpoint that of an older bridge."""
    before = scenario.checkpoint()
    assert before.get("offsets"), "the checkpoint contains no offsets that could be removed"
    scenario.client["job_bridge"]["job_bridge_checkpoints"].update_one(
        {"_id": scenario.database}, {"$unset": dict.fromkeys(NEW_FIELDS, "")}
    )


def test_messages_without_headers_count_as_sent(scenario: FaultScenario) -> None:
    bridge, left_out = crash(scenario, kafka__headers="none"), LeftOut()
    bridge.start()

    pass_by(scenario, bridge, left_out)

    assert [scenario.published_states(job_id) for job_id in job_ids(scenario)] == 3 * [list(GOOD)]
    assert left_out.total == len(GOOD)
