"""Batches are compressed with each codec, and consumers read them."""

from __future__ import annotations

import pytest

from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import DRIVERS, KafkaSinkUnderTest, settle

#: No codec leaves a text as it is that repeats itself.
TEXT = b"created, complete; " * 50


def stored(kafka: Kafka, topic: str) -> bytes:
    """The bytes of the topic's files."""
    files = (kafka.folder / "data").glob(f"{topic}-[0-9]*/*.log")
    return b"".join(file.read_bytes() for file in files)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_batches_are_compressed(driver: str, codec: str, kafka: Kafka, topic: str) -> None:
    cluster = KafkaSinkUnderTest(driver, kafka, topic, kafka__compression=codec)
    with cluster.open() as sink:
        sink.send([(message("job-0", TEXT, topic), delivery(1))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)

    assert [record.value for record in kafka.read(topic)] == [TEXT]
    assert (TEXT in stored(kafka, topic)) is (codec == "none")
