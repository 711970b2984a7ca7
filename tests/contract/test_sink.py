"""The contract of a sink, for the fake and for Kafka with each driver."""

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
    KafkaSink,
    SinkUnderTest,
    send,
    settle,
)


@pytest.fixture(params=["memory", *DRIVERS])
def under_test(request: pytest.FixtureRequest) -> SinkUnderTest:
    if request.param == "memory":
        return InMemorySink()
    return KafkaSink(
        request.param, request.getfixturevalue("kafka"), request.getfixturevalue("topic")
    )


def test_every_message_is_acknowledged_once_in_order(under_test: SinkUnderTest) -> None:
    """The order is that of each key."""
    with under_test.open() as sink:
        sent = send(under_test, sink, 200)
        settled = settle(under_test, sink, lambda found: len(found) >= 200)
        under_test.pulse(sink)
        assert list(sink.settled()) == []

    assert {id(one) for one in settled} == {id(one) for _, one in sent}
    for key in {one.key for one, _ in sent}:
        mine = [id(one) for each, one in sent if each.key == key]
        assert [id(one) for one in settled if id(one) in mine] == mine
    assert not sink.broken


def test_acknowledged_messages_are_written_in_key_order(
    under_test: SinkUnderTest,
) -> None:
    """All messages of a key are in one partition."""
    with under_test.open() as sink:
        sent = send(under_test, sink, 200)
        settle(under_test, sink, lambda found: len(found) >= 200)

        partitions = under_test.written()

    assert sorted(value for each in partitions for value in each) == sorted(
        one.value for one, _ in sent
    )
    for key in {one.key for one, _ in sent}:
        values = [one.value for one, _ in sent if one.key == key]
        (home,) = [each for each in partitions if values[0] in each]
        assert [value for value in home if value in values] == values


def test_a_batch_is_written_whole_and_in_order(under_test: SinkUnderTest) -> None:
    """In batches that end anywhere, also within a hand-over, and go on with the next one."""
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
        settled += settle(under_test, sink, lambda found: len(settled) + len(found) >= len(sent))
        under_test.pulse(sink)
        assert list(sink.settled()) == []

    assert sorted(id(one) for one in settled) == sorted(id(one) for _, one in sent)
    for partition in under_test.written():
        assert partition == [one.value for one, _ in sent if one.value in set(partition)]
    assert sum(map(len, under_test.written())) == len(sent)


def test_dead_letters_go_to_their_own_topic(under_test: SinkUnderTest) -> None:
    letters = f"{under_test.topic}-dlq"
    with under_test.open() as sink:
        assert sink.max_message_bytes(under_test.topic) and sink.max_message_bytes(letters)
        assert not sink.max_message_bytes("nowhere")
        sink.send([(message("job-0", b"letter", letters), delivery(1))])
        settle(under_test, sink, lambda found: len(found) == 1)

        assert [value for each in under_test.written(letters) for value in each] == [b"letter"]
        assert [value for each in under_test.written() for value in each] == []


def test_a_message_too_large_is_known_before_sending(under_test: SinkUnderTest) -> None:
    fits = message("job-0", b"x" * (MOST - 200), under_test.topic)
    too_large = message("job-0", b"x" * (MOST + 1), under_test.topic)
    with under_test.open() as sink:
        assert fits.size() <= sink.max_message_bytes(under_test.topic) < too_large.size()
        sink.send([(fits, delivery(1))])
        settle(under_test, sink, lambda found: len(found) == 1)


def test_a_failed_message_breaks_the_sink(under_test: SinkUnderTest) -> None:
    with under_test.open() as sink:
        send(under_test, sink, 4)
        settle(under_test, sink, lambda found: len(found) == 4)
        assert not sink.broken
        under_test.refuse(sink)

        sink.send([(message("job-0", b"x" * 400, under_test.topic), delivery(9))])
        with pytest.raises(BridgeError):
            settle(under_test, sink, lambda _: False)
        assert sink.broken


def test_a_broken_sink_takes_and_settles_nothing_more(under_test: SinkUnderTest) -> None:
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
