"""Reads topics as a consumer of committed records does."""

from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

_BATCH = 10_000
_POLL_SECONDS = 1.0


def read_count(bootstrap: str, topic: str) -> int:
    """Count the messages of committed transactions, and those outside of transactions."""
    consumer = make_consumer(bootstrap, **{"enable.partition.eof": True})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        remaining, count = set(partitions), 0
        while remaining:
            for message in consumer.consume(_BATCH, _POLL_SECONDS):
                error = message.error()
                if error is None:
                    count += 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    remaining.discard(message.partition())
        return count
    finally:
        consumer.close()


def make_consumer(bootstrap: str, **settings: Any) -> Consumer:
    """A consumer of committed records, without a group."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "benchmarks",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **settings,
        }
    )
