"""A topic that refuses the send time of messages, with both drivers."""

from __future__ import annotations

import threading

import pytest

from bridge.demo.servers.process import poll
from bridge.errors import Retryable
from bridge.model.window import Sending
from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import KafkaSinkUnderTest, send, settle

#: A message may be this old when the broker gets it.
BOUND_SECONDS = 2.0


@pytest.mark.parametrize("count", [1, 20])
def test_refused_times_are_retried_with_new_times(
    behind_a_proxy: tuple[KafkaSinkUnderTest, Kafka], count: int
) -> None:
    """An outage was longer than the topic's bound; kafka-python reports several as invalid."""
    cluster, kafka = behind_a_proxy
    kafka.alter_topic(cluster.topic, message_timestamp_before_max_ms=int(BOUND_SECONDS * 1000))
    late: list[Sending] = [
        (message("job-1", b"late %d" % number, cluster.topic), delivery(number))
        for number in range(count)
    ]
    with kafka.proxy() as proxy:
        with cluster.open() as sink:
            send(cluster, sink, 4)
            settle(cluster, sink, lambda deliveries: len(deliveries) == 4)
            proxy.silence()
            sink.send(late)
            poll(lambda: proxy.counts.held > 0, "a request in flight")
            threading.Event().wait(BOUND_SECONDS)
            proxy.pass_through()
            with pytest.raises(Retryable, match=r"clock.*timestamp\.before\.max\.ms") as caught:
                settle(cluster, sink, lambda _: False)
            assert caught.value.part == "kafka"

        with cluster.open() as sink:
            sink.send(late)
            settle(cluster, sink, lambda deliveries: len(deliveries) == count)

    written = [value for partition in cluster.written() for value in partition]
    assert [value for value in written if value.startswith(b"late")] == [
        sent.value for sent, _ in late
    ]
