"""Reading a topic back: the protocol of a tail reader, with both drivers on a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition

from bridge.errors import Misconfigured
from bridge.kafka.drivers import driver_of
from bridge.model.message import Record
from bridge.settings import Settings
from tests.support.factories import settings
from tests.support.messages import NotUtf8
from tests.support.servers.kafka import Kafka

PARTITIONS = {0, 1, 2}


class TailScenario:
    def __init__(self, driver: str, kafka: Kafka, topic: str) -> None:
        self.kafka, self.topic = kafka, topic
        self.config: Settings = settings(
            kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic, kafka__driver=driver
        )
        self.ends: dict[int, int] = {}

    @contextmanager
    def producer(self, **options: Any) -> Iterator[KafkaProducer]:
        with closing(KafkaProducer(bootstrap_servers=self.kafka.internal, **options)) as producer:
            yield producer

    def write(self, *values: str, partition: int = 0, milliseconds: int | None = None) -> None:
        with self.producer() as producer:
            for value in values:
                producer.send(
                    self.topic,
                    value.encode(),
                    key=b"job",
                    headers=[("ce_id", value.encode())],
                    partition=partition,
                    timestamp_ms=milliseconds,
                ).get(30)

    def read(self, offsets: dict[int, int], since: float | None = None) -> list[Record]:
        with driver_of(self.config).tail_reader(self.config) as reader:
            parts = list(reader.read_from(self.topic, offsets, since))
            self.ends = dict(reader.ends)
        return [record for records in parts for record in records]

    def values(self, offsets: dict[int, int], since: float | None = None) -> list[str]:
        return [(record.value or b"").decode() for record in self.read(offsets, since)]


@pytest.fixture
def scenario(driver: str, kafka: Kafka, topic: str) -> TailScenario:
    return TailScenario(driver, kafka, topic)


def test_reading_starts_at_the_offsets(scenario: TailScenario) -> None:
    scenario.write("a", "b", "c")
    scenario.write("d", "e", partition=1)

    read = scenario.read({0: 1, 1: 2, 2: 0})

    assert [(record.key, record.value, list(record.headers)) for record in read] == [
        (b"job", b"b", [("ce_id", b"b")]),
        (b"job", b"c", [("ce_id", b"c")]),
    ]
    assert scenario.ends == {0: 3, 1: 2, 2: 0}


def test_the_end_of_an_unread_topic_is_known(scenario: TailScenario) -> None:
    assert scenario.read({}) == []
    assert scenario.ends == dict.fromkeys(PARTITIONS, 0)


def test_other_partitions_start_by_time(scenario: TailScenario) -> None:
    now = int(time.time())
    scenario.write("old", milliseconds=(now - 100) * 1000)
    scenario.write("new", milliseconds=(now - 10) * 1000)
    scenario.write("known", partition=1, milliseconds=(now - 100) * 1000)

    assert sorted(scenario.values({1: 0}, now - 50)) == ["known", "new"]
    assert scenario.values({0: 1, 1: 1}, now + 100) == ["new"]
    assert sorted(scenario.values({})) == ["known", "new", "old"]


@pytest.mark.parametrize("milliseconds", [0, 2**42])
def test_odd_timestamps_hide_nothing_later(scenario: TailScenario, milliseconds: int) -> None:
    since = time.time() - 10
    scenario.kafka.alter_topic(scenario.topic, message_timestamp_after_max_ms=2**62)
    scenario.write("odd", milliseconds=milliseconds)
    scenario.write("usual")

    assert "usual" in scenario.values({}, since)


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("time_type", ["CreateTime", "LogAppendTime"])
def test_undecodable_header_names_hide_no_record(
    scenario: TailScenario, compression: str | None, time_type: str
) -> None:
    """In one batch, of which each record is read with its own fields."""
    scenario.kafka.alter_topic(scenario.topic, message_timestamp_type=time_type)
    good, odd = [("ce_id", b"1")], [("ce_id", b"1"), (NotUtf8("name"), b"2")]
    with scenario.producer(linger_ms=60_000, compression_type=compression) as producer:
        sent = [
            producer.send(scenario.topic, value, key, headers, 0)
            for value, key, headers in (
                (b"a", b"job", good),
                (b"b", b"job", odd),
                (None, b"job", odd),
                (b"d", None, odd),
                (b"e", b"job", good),
            )
        ]
        producer.flush()
    stamps = [future.get(30).timestamp / 1000 for future in sent]

    records = scenario.read({0: 0, 1: 0, 2: 0})

    assert [record[:5] for record in records] == [
        (0, 0, stamps[0], b"job", b"a"),
        (0, 1, stamps[1], b"job", b"b"),
        (0, 2, stamps[2], b"job", None),
        (0, 3, stamps[3], None, b"d"),
        (0, 4, stamps[4], b"job", b"e"),
    ]
    assert [list(record.headers) for record in records] == [good, [], [], [], good]


def test_removed_records_are_skipped(scenario: TailScenario) -> None:
    scenario.write("a", "b", "c")
    with scenario.kafka.admin() as admin:
        admin.delete_records({TopicPartition(scenario.topic, 0): 2})

    assert scenario.values({0: 0, 1: 0, 2: 0}) == ["c"]


def test_an_emptied_topic_is_read_to_its_end(scenario: TailScenario) -> None:
    scenario.write("a", "b")
    with scenario.kafka.admin() as admin:
        admin.delete_records({TopicPartition(scenario.topic, 0): 2})

    assert scenario.values(dict.fromkeys(PARTITIONS, 0)) == []
    assert scenario.ends[0] == 2


def test_an_offset_beyond_the_end_leaves_nothing_unread(scenario: TailScenario) -> None:
    """A topic that was created again is shorter than the stored offsets."""
    scenario.write("a", "b")

    assert scenario.values({0: 700, 1: 0, 2: 0}, time.time() - 60) == ["a", "b"]


def test_aborted_and_open_transactions_are_not_read(scenario: TailScenario) -> None:
    scenario.write("before")
    with scenario.producer(transactional_id=scenario.topic) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(scenario.topic, b"aborted", partition=0).get(30)
        producer.abort_transaction()
        scenario.write("between")
        producer.begin_transaction()
        producer.send(scenario.topic, b"open", partition=0).get(30)
        scenario.write("behind")
        started = time.monotonic()

        assert scenario.values(dict.fromkeys(PARTITIONS, 0)) == ["before", "between"]

        assert time.monotonic() - started < 10, "an open transaction is not waited for"
        producer.abort_transaction()


def test_the_latest_records_of_each_partition(scenario: TailScenario) -> None:
    scenario.write("a", "b", "c")
    scenario.write("d", partition=2)

    with driver_of(scenario.config).tail_reader(scenario.config) as reader:
        latest = reader.latest(scenario.topic, 2)

    assert sorted((record.partition, record.value) for record in latest) == [
        (0, b"b"),
        (0, b"c"),
        (2, b"d"),
    ]


def test_a_missing_topic_is_not_created(scenario: TailScenario) -> None:
    scenario.topic = f"{scenario.topic}-other"

    with pytest.raises(Misconfigured, match="does not exist"):
        scenario.read({})

    with scenario.kafka.admin() as admin:
        assert scenario.topic not in admin.list_topics()
