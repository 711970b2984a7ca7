"""The protocol of a sink: in memory, and in Kafka with both drivers."""

from __future__ import annotations

from random import Random

import pytest

from bridge.errors import BridgeError, Retryable
from bridge.model.window import Delivery
from tests.support.factories import delivery, message
from tests.support.sinks_under_test import (
    DRIVERS,
    MOST,
    InMemorySink,
    KafkaSinkUnderTest,
    SinkUnderTest,
    send,
    settle,
)


@pytest.fixture(params=["memory", *DRIVERS])
def under_test(request: pytest.FixtureRequest) -> SinkUnderTest:
    if request.param == "memory":
        return InMemorySink()
    return KafkaSinkUnderTest(
        request.param, request.getfixturevalue("kafka"), request.getfixturevalue("topic")
    )


def test_each_message_is_acknowledged_once_and_in_order(under_test: SinkUnderTest) -> None:
    with under_test.open() as sink:
        sent = send(under_test, sink, 200)
        settled = settle(under_test, sink, lambda deliveries: len(deliveries) >= 200)
        under_test.pulse(sink)
        assert list(sink.settled()) == []

    assert {id(delivery) for delivery in settled} == {id(delivery) for _, delivery in sent}
    for key in {sent_message.key for sent_message, _ in sent}:
        expected = [id(delivery) for sent_message, delivery in sent if sent_message.key == key]
        assert [
            id(settled_delivery) for settled_delivery in settled if id(settled_delivery) in expected
        ] == expected
    assert not sink.broken


def test_the_messages_of_a_key_share_a_partition(
    under_test: SinkUnderTest,
) -> None:
    with under_test.open() as sink:
        sent = send(under_test, sink, 200)
        settle(under_test, sink, lambda deliveries: len(deliveries) >= 200)

        partitions = under_test.written()

    assert sorted(value for partition in partitions for value in partition) == sorted(
        sent_message.value for sent_message, _ in sent
    )
    for key in {sent_message.key for sent_message, _ in sent}:
        values = [sent_message.value for sent_message, _ in sent if sent_message.key == key]
        (home,) = [partition for partition in partitions if values[0] in partition]
        assert [value for value in home if value in values] == values


def test_hand_overs_are_written_completely_and_in_order(under_test: SinkUnderTest) -> None:
    """A batch may end within a hand-over, and continue with the next hand-over."""
    drawn = Random(7)
    sent = [
        (
            message(
                f"job-{drawn.randrange(7)}",
                b"%d " % number + b"x" * drawn.choice([0, 10, 1_000, 20_000]),
                under_test.topic,
            ),
            delivery(number),
        )
        for number in range(900)
    ]
    with under_test.open() as sink:
        settled: list[Delivery] = []
        at = 0
        while at < len(sent):
            count = drawn.choice([1, 2, 30, 200])
            sink.send(sent[at : at + count])
            settled += sink.settled()
            at += count
        settled += settle(
            under_test, sink, lambda deliveries: len(settled) + len(deliveries) >= len(sent)
        )
        under_test.pulse(sink)
        assert list(sink.settled()) == []

    assert sorted(id(item) for item in settled) == sorted(id(item) for _, item in sent)
    for partition in under_test.written():
        assert partition == [
            sent_message.value for sent_message, _ in sent if sent_message.value in set(partition)
        ]
    assert sum(map(len, under_test.written())) == len(sent)


def test_dead_letters_go_to_their_own_topic(under_test: SinkUnderTest) -> None:
    letters = f"{under_test.topic}-dlq"
    with under_test.open() as sink:
        assert sink.max_message_bytes(under_test.topic) and sink.max_message_bytes(letters)
        assert not sink.max_message_bytes("nowhere")
        sink.send([(message("job-0", b"letter", letters), delivery(1))])
        settle(under_test, sink, lambda deliveries: len(deliveries) == 1)

        assert [value for partition in under_test.written(letters) for value in partition] == [
            b"letter"
        ]
        assert [value for partition in under_test.written() for value in partition] == []


def test_the_largest_message_is_known_before_sending(under_test: SinkUnderTest) -> None:
    fits = message("job-0", b"x" * (MOST - 200), under_test.topic)
    too_large = message("job-0", b"x" * (MOST + 1), under_test.topic)
    with under_test.open() as sink:
        assert fits.size() <= sink.max_message_bytes(under_test.topic) < too_large.size()
        sink.send([(fits, delivery(1))])
        settle(under_test, sink, lambda deliveries: len(deliveries) == 1)


def test_a_failed_message_breaks_the_sink(under_test: SinkUnderTest) -> None:
    with under_test.open() as sink:
        send(under_test, sink, 4)
        settle(under_test, sink, lambda deliveries: len(deliveries) == 4)
        assert not sink.broken
        under_test.refuse(sink)

        sink.send([(message("job-0", b"x" * 400, under_test.topic), delivery(9))])
        with pytest.raises(BridgeError):
            settle(under_test, sink, lambda _: False)
        assert sink.broken


def test_a_broken_sink_neither_accepts_nor_settles(under_test: SinkUnderTest) -> None:
    with under_test.open() as sink:
        under_test.refuse(sink)
        sink.send([(message("job-0", b"x" * 400, under_test.topic), delivery(1))])
        with pytest.raises(BridgeError):
            settle(under_test, sink, lambda _: False)

        with pytest.raises(Retryable):
            for number in range(2, 50):
                sink.send([(message("job-0", b"x" * 400, under_test.topic), delivery(number))])
                under_test.pulse(sink)
                assert list(sink.settled()) == []


def test_offsets_follow_the_settled_messages(under_test: SinkUnderTest) -> None:
    """In groups and alone, after messages of an earlier sink, and without the dead letters."""
    with under_test.open() as sink:
        send(under_test, sink, 20)
        settle(under_test, sink, lambda deliveries: len(deliveries) == 20)
    before = [len(partition) for partition in under_test.written()]

    with under_test.open() as sink:
        assert sink.offsets() == {}
        sink.send([(message("job-0", b"letter", f"{under_test.topic}-dlq"), delivery(0))])
        sink.send([(message("job-1", b"first", under_test.topic), delivery(1))])
        settle(under_test, sink, lambda deliveries: len(deliveries) == 2)
        after = [len(partition) for partition in under_test.written()]
        (grown,) = [number for number in range(3) if after[number] > before[number]]
        assert sink.offsets() == {grown: after[grown]}
        sink.send(
            [
                (message(f"job-{number % 50}", b"x" * 2_000, under_test.topic), delivery(number))
                for number in range(1_000)
            ]
        )
        settle(under_test, sink, lambda deliveries: len(deliveries) == 1_000)

        assert sink.offsets() == dict(enumerate(map(len, under_test.written())))
