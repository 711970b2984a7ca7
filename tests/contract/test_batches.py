"""Batches with both drivers: always in order, and nothing is written after a failed message."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.demo.servers.process import poll
from bridge.errors import BridgeError, Retryable
from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import KafkaSinkUnderTest, settle


def test_nothing_is_written_after_a_failed_message(
    behind_a_proxy: tuple[KafkaSinkUnderTest, Kafka],
) -> None:
    """A later transition of the job would arrive before the failed transition."""
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy, cluster.open() as sink:
        sink.send([(message("job-0", b"before", cluster.topic), delivery(1))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
        kafka.alter_topic(cluster.topic, max_message_bytes=5_000)
        proxy.silence()
        sink.send([(message("job-0", b"x" * 9_000, cluster.topic), delivery(2))])
        poll(lambda: proxy.counts.held > 0, "the message that will fail, alone in flight")
        for number in range(100):
            sink.send([(message("job-0", b"%d" % number, cluster.topic), delivery(3 + number))])
        proxy.pass_through()
        with pytest.raises(BridgeError):
            settle(cluster, sink, lambda _: False)
        for _ in range(3):  # time enough to write more
            cluster.pulse(sink)

    assert [value for partition in cluster.written() for value in partition] == [b"before"]


def lose_last_batches(partition: Path, kept: int) -> None:
    """Cut a partition of a stopped broker to its first batches, as a power failure may do."""
    log = partition / f"{0:020}.log"
    data, end = log.read_bytes(), 0
    for _ in range(kept):
        end += 12 + int.from_bytes(data[end + 8 : end + 12], "big")
    assert end < len(data), "nothing to lose"
    log.write_bytes(data[:end])
    for pattern in ("*.snapshot", "*.index", "*.timeindex"):
        for file in partition.glob(pattern):
            file.unlink()


def test_nothing_is_written_after_a_broker_lost_records(
    cluster: KafkaSinkUnderTest, kafka: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    """They are out of sequence; under a new epoch the broker would accept later messages."""
    with cluster.open() as sink:
        for number in range(5):
            sink.send([(message("job-0", b"%d" % number, cluster.topic), delivery(number))])
            settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
        kafka.kill()
        (partition,) = (
            log.parent
            for log in (kafka.folder / "data").glob(f"{cluster.topic}-[0-9]/*.log")
            if log.stat().st_size
        )
        lose_last_batches(partition, 3)
        # More than a single batch.
        sink.send(
            [
                (message("job-0", b"%d" % number + b"x" * 40_000, cluster.topic), delivery(number))
                for number in range(5, 25)
            ]
        )
        kafka.start()
        with pytest.raises(Retryable):
            settle(cluster, sink, lambda _: False)
        for _ in range(3):  # time enough to write more
            cluster.pulse(sink)

    assert [value for partition in cluster.written() for value in partition] == [b"0", b"1", b"2"]
    assert not [
        record for record in caplog.records if record.exc_info and record.name.startswith("bridge")
    ], "no traceback for an expected failure"


def test_a_batch_too_large_fails_as_a_whole(cluster: KafkaSinkUnderTest, kafka: Kafka) -> None:
    """A producer that splits it would acknowledge its first message before its last is written."""
    values = [b"%d" % number + b"x" * 900 for number in range(20)]
    together = [
        (message("job-0", value, cluster.topic), delivery(number))
        for number, value in enumerate(values)
    ]
    with cluster.open() as sink:
        sink.send([(message("job-0", b"before", cluster.topic), delivery(0))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
        kafka.alter_topic(cluster.topic, max_message_bytes=5_000)
        sink.send(together)
        acknowledged = 0
        with pytest.raises(Retryable, match=r"[Tt]oo *[Ll]arge|limit was lowered"):
            while True:  # the first may have been in flight alone
                acknowledged += len(settle(cluster, sink, bool))

    def written() -> list[bytes]:
        return [value for partition in cluster.written() for value in partition]

    alone = len(written()) - 1
    assert acknowledged <= alone <= 1
    with cluster.open() as sink:
        sink.send(together)
        settle(cluster, sink, lambda deliveries: len(deliveries) == 20)

    assert written() == [b"before", *values[:alone], *values]


def test_a_silent_broker_gets_messages_in_order(
    behind_a_proxy: tuple[KafkaSinkUnderTest, Kafka],
) -> None:
    """Later hand-overs fill the batches of earlier ones."""
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy, cluster.open() as sink:
        sink.send(
            [
                (message(f"job-{number}", b"connected", cluster.topic), delivery(number))
                for number in range(6)
            ]
        )
        settle(cluster, sink, lambda deliveries: len(deliveries) == 6)
        proxy.silence()
        for first in range(0, 1000, 10):
            sink.send(
                [
                    (message(f"job-{number % 6}", b"%d" % number, cluster.topic), delivery(number))
                    for number in range(first, first + 10)
                ]
            )
            cluster.wake.wait(0.005)  # otherwise all are in flight together
        poll(lambda: proxy.counts.held > 0, "data held back by the proxy")
        assert list(sink.settled()) == []
        proxy.pass_through()
        settled = settle(cluster, sink, lambda deliveries: len(deliveries) == 1000)

    assert len({id(delivery) for delivery in settled}) == 1000
    written = [
        [int(value) for value in partition if value != b"connected"]
        for partition in cluster.written()
    ]
    assert (
        all(partition == sorted(partition) for partition in written)
        and sum(map(len, written)) == 1000
    )
