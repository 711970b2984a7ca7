"""A topic that is read while Kafka removes its oldest messages."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer, TopicPartition

from bridge.demo.servers.broker import Broker
from bridge.errors import Retryable
from bridge.kafka.drivers import driver_of
from tests.support.factories import settings
from tests.support.servers.kafka import Kafka

#: More than is fetched at once.
MESSAGES, SIZE, REMOVED = 80, 100_000, 60
#: Sent at once.
BATCH = 20


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
def test_a_topic_may_be_compressed_by_the_broker(codec: str, kafka: Kafka) -> None:
    topic = f"test-{uuid.uuid4().hex[:12]}"
    kafka.create_topic(topic, compression_type=codec)
    producer = KafkaProducer(bootstrap_servers=kafka.internal)
    producer.send(topic, b"x" * 1000, partition=0).get(30)
    producer.close()

    with driver_of(settings()).reader(
        settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic)
    ) as reader:
        assert [record.value for batch in reader.read(topic, None) for record in batch] == [
            b"x" * 1000
        ]


def test_a_batch_of_the_embedded_broker_is_complete(tmp_path: Path) -> None:
    """It reports the end of a partition as one record after the start of its last batch."""
    with Broker(tmp_path / "broker") as broker:
        broker.create_topic("jobs", partitions=1)
        producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 200})
        for number in range(BATCH):
            producer.produce("jobs", b"%d" % number, partition=0)
        assert producer.flush(30) == 0
        config = settings(kafka__bootstrap_servers=broker.bootstrap, kafka__topic="jobs")
        with driver_of(config).reader(config) as reader:
            read = [record.value for batch in reader.read("jobs", None) for record in batch]
            assert reader.count("jobs", None) < BATCH, "the reported end is right now"

    assert read == [b"%d" % number for number in range(BATCH)]


def test_records_removed_meanwhile_are_skipped(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.kafka.kafka_python.reader._MAX_RECORDS", 1)
    producer = KafkaProducer(bootstrap_servers=kafka.internal)
    for _ in range(MESSAGES):
        producer.send(topic, b"x" * SIZE, partition=0)
    producer.flush(30)
    producer.close()
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic)

    with driver_of(config).reader(config) as reader:
        batches = reader.read(topic, None)
        read = [record.offset for record in next(iter(batches))]
        with kafka.admin() as admin:
            admin.delete_records({TopicPartition(topic, 0): REMOVED})
        read += [record.offset for batch in batches for record in batch]

    assert read == sorted(set(read))
    assert len(read) < MESSAGES, "nothing was removed before it was read"
    assert set(range(REMOVED, MESSAGES)) <= set(read)


def test_an_open_transaction_is_not_the_end(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.kafka.timeouts.SILENT_TOPIC_SECONDS", 1.0)
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic)
    other = KafkaProducer(bootstrap_servers=kafka.internal, transactional_id=topic)
    producer = KafkaProducer(bootstrap_servers=kafka.internal)
    with closing(other), closing(producer), driver_of(config).reader(config) as reader:
        other.init_transactions()
        other.begin_transaction()
        other.send(topic, b"not committed", partition=0).get(30)
        for number in range(3):
            producer.send(topic, b"%d" % number, partition=0).get(30)

        with pytest.raises(Retryable, match=r"transaction is open in .* Kafka withholds 4 records"):
            list(reader.read(topic, None))
        other.abort_transaction()

        assert [record.value for batch in reader.read(topic, None) for record in batch] == [
            b"0",
            b"1",
            b"2",
        ]
