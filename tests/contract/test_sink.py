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
def place(request: pytest.FixtureRequest) -> SinkUnderTest:
    if request.param == "memory":
        return InMemorySink()
    return KafkaSinkUnderTest(
        request.param, request.getfixturevalue("kafka"), request.getfixturevalue("topic")
    )


def test_each_message_is_acknowledged_once_and_in_order(place: SinkUnderTest) -> None:
    with place.open() as sink:
        sent = send(place, sink, 200)
        settled = settle(place, sink, lambda found: len(found) >= 200)
        place.pulse(sink)
        assert list(sink.settled()) == []

    assert {id(delivery) for delivery in settled} == {id(delivery) for _, delivery in sent}
    for key in {sent_message.key for sent_message, _ in sent}:
        expected = [id(delivery) for sent_message, delivery in sent if sent_message.key == key]
        assert [id(each) for each in settled if id(each) in expected] == expected
    assert not sink.broken


def test_the_messages_of_a_key_share_a_partition(
    place: SinkUnderTest,
) -> None:
    with place.open() as sink:
        sent = send(place, sink, 200)
        settle(place, sink, lambda found: len(found) >= 200)

        partitions = place.written()

    assert sorted(value for each in partitions for value in each) == sorted(
        one.value for one, _ in sent
    )
    for key in {sent_message.key for sent_message, _ in sent}:
        values = [one.value for one, _ in sent if one.key == key]
        (home,) = [each for each in partitions if values[0] in each]
        assert [value for value in home if value in values] == values


def test_hand_overs_are_written_completely_and_in_order(place: SinkUnderTest) -> None:
    """A batch may end within a hand-over, and continue with the next hand-over."""
    drawn = Random(7)
    sent = [
        (
            message(
                f"job-{drawn.randrange(7)}",
                b"%d " % number + b"x" * drawn.choice([0, 10, 1_000, 20_000]),
                place.topic,
            ),
            delivery(number),
        )
        for number in range(900)
    ]
    with place.open() as sink:
        settled: list[Delivery] = []
        at = 0
        while at < len(sent):
            count = drawn.choice([1, 2, 30, 200])
            sink.send(sent[at : at + count])
            settled += sink.settled()
            at += count
        settled += settle(place, sink, lambda found: len(settled) + len(found) >= len(sent))
        place.pulse(sink)
        assert list(sink.settled()) == []

    assert sorted(id(one) for one in settled) == sorted(id(one) for _, one in sent)
    for partition in place.written():
        assert partition == [one.value for one, _ in sent if one.value in set(partition)]
    assert sum(map(len, place.written())) == len(sent)


def test_dead_letters_go_to_their_own_topic(place: SinkUnderTest) -> None:
    letters = f"{place.topic}-dlq"
    with place.open() as sink:
        assert sink.max_message_bytes(place.topic) and sink.max_message_bytes(letters)
        assert not sink.max_message_bytes("nowhere")
        sink.send([(message("job-0", b"letter", letters), delivery(1))])
        settle(place, sink, lambda found: len(found) == 1)

        assert [value for each in place.written(letters) for value in each] == [b"letter"]
        assert [value for each in place.written() for value in each] == []


def test_the_largest_message_is_known_before_sending(place: SinkUnderTest) -> None:
    fits = message("job-0", b"x" * (MOST - 200), place.topic)
    too_large = message("job-0", b"x" * (MOST + 1), place.topic)
    with place.open() as sink:
        assert fits.size() <= sink.max_message_bytes(place.topic) < too_large.size()
        sink.send([(fits, delivery(1))])
        settle(place, sink, lambda found: len(found) == 1)


def test_a_failed_message_breaks_the_sink(place: SinkUnderTest) -> None:
    with place.open() as sink:
        send(place, sink, 4)
        settle(place, sink, lambda found: len(found) == 4)
        assert not sink.broken
        place.refuse(sink)

        sink.send([(message("job-0", b"x" * 400, place.topic), delivery(9))])
        with pytest.raises(BridgeError):
            settle(place, sink, lambda _: False)
        assert sink.broken


def test_a_broken_sink_neither_accepts_nor_settles(place: SinkUnderTest) -> None:
    with place.open() as sink:
        place.refuse(sink)
        sink.send([(message("job-0", b"x" * 400, place.topic), delivery(1))])
        with pytest.raises(BridgeError):
            settle(place, sink, lambda _: False)

        with pytest.raises(Retryable):
            for number in range(2, 50):
                sink.send([(message("job-0", b"x" * 400, place.topic), delivery(number))])
                place.pulse(sink)
                assert list(sink.settled()) == []
