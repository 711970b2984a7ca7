"""What every sink does: the one in memory and Kafka's."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import pytest
from kafka import KafkaProducer

from bridge.errors import BridgeError, Misconfigured, Retryable
from bridge.model.message import Message
from bridge.model.window import Delivery
from bridge.pipeline.ports import Sink
from bridge.sink.producer import KafkaSink
from tests.factories import delivery, message, settings
from tests.fakes import FakeBroker, FakeSink
from tests.servers.kafka import Kafka

PATIENCE_SECONDS = 30.0
MOST = 50_000


class Place(Protocol):
    """A broker with one topic, its dead letters' beside it."""

    topic: str

    def open(self) -> AbstractContextManager[Sink]: ...

    def pulse(self, sink: Sink) -> None:
        """Let a moment go by."""

    def refuse(self, sink: Sink) -> None:
        """From now on the broker takes less than it said."""

    def written(self, topic: str = "") -> list[list[bytes]]:
        """The values of each partition, in order."""


class Memory:
    topic = "jobs"

    def __init__(self) -> None:
        self.broker = FakeBroker("jobs", "jobs-dlq", most=MOST)
        self._refusing = False

    def open(self) -> AbstractContextManager[Sink]:
        return nullcontext(FakeSink(self.broker))

    def pulse(self, sink: Sink) -> None:
        assert isinstance(sink, FakeSink)
        if self._refusing:
            sink.fail(Retryable("the topic now takes less"))
        sink.acknowledge(1)

    def refuse(self, sink: Sink) -> None:
        self._refusing = True

    def written(self, topic: str = "") -> list[list[bytes]]:
        return [[one.value for one in partition] for partition in self.broker.partitions[topic or self.topic]]


class Cluster:
    def __init__(self, kafka: Kafka, topic: str, bootstrap: str = "") -> None:
        self.kafka, self.topic, self.wake = kafka, topic, threading.Event()
        self.config = settings(kafka__bootstrap_servers=bootstrap or kafka.bootstrap, kafka__topic=topic)
        for name in (topic, f"{topic}-dlq"):
            kafka.alter_topic(name, max_message_bytes=MOST)

    def open(self) -> KafkaSink:
        return KafkaSink(self.config, f"{self.topic}-dlq", self.wake)

    def pulse(self, sink: Sink) -> None:
        self.wake.wait(0.5)
        self.wake.clear()

    def refuse(self, sink: Sink) -> None:
        self.kafka.alter_topic(self.topic, max_message_bytes=100)

    def written(self, topic: str = "") -> list[list[bytes]]:
        partitions: list[list[bytes]] = [[] for _ in range(3)]
        for record in self.kafka.read(topic or self.topic):
            partitions[record.partition].append(record.value or b"")
        return partitions


@pytest.fixture(params=["memory", "kafka"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "memory":
        return Memory()
    return Cluster(request.getfixturevalue("kafka"), request.getfixturevalue("topic"))


def settle(place: Place, sink: Sink, done: Callable[[list[Delivery]], bool]) -> list[Delivery]:
    found: list[Delivery] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done(found):
        assert time.monotonic() < deadline, f"only {len(found)} were settled"
        place.pulse(sink)
        found += sink.settled()
    return found


def send(place: Place, sink: Sink, count: int, keys: int = 4) -> list[tuple[Message, Delivery]]:
    sent = []
    for number in range(count):
        one = message(f"job-{number % keys}", b"%d" % number, place.topic), delivery(number)
        sink.send(*one)
        sent.append(one)
    return sent


def test_every_message_is_acknowledged_once_and_in_order_for_each_key(place: Place) -> None:
    with place.open() as sink:
        sent = send(place, sink, 200)
        settled = settle(place, sink, lambda found: len(found) >= 200)
        place.pulse(sink)
        assert list(sink.settled()) == []

    assert {id(one) for one in settled} == {id(one) for _, one in sent}
    for key in {one.key for one, _ in sent}:
        mine = [id(one) for each, one in sent if each.key == key]
        assert [id(one) for one in settled if id(one) in mine] == mine
    assert not sink.broken


def test_what_is_acknowledged_is_written_and_one_key_is_one_partition_in_order(place: Place) -> None:
    with place.open() as sink:
        sent = send(place, sink, 200)
        settle(place, sink, lambda found: len(found) >= 200)

        partitions = place.written()

    assert sorted(value for each in partitions for value in each) == sorted(one.value for one, _ in sent)
    for key in {one.key for one, _ in sent}:
        values = [one.value for one, _ in sent if one.key == key]
        (home,) = [each for each in partitions if values[0] in each]
        assert [value for value in home if value in values] == values


def test_dead_letters_go_to_their_own_topic(place: Place) -> None:
    letters = f"{place.topic}-dlq"
    with place.open() as sink:
        assert sink.has(place.topic) and sink.has(letters)
        assert not sink.has("nowhere")
        sink.send(message("job-0", b"letter", letters), delivery(1))
        settle(place, sink, lambda found: len(found) == 1)

        assert [value for each in place.written(letters) for value in each] == [b"letter"]
        assert [value for each in place.written() for value in each] == []


def test_a_message_too_large_is_known_before_it_is_sent(place: Place) -> None:
    fits = message("job-0", b"x" * (MOST - 200), place.topic)
    too_large = message("job-0", b"x" * (MOST + 1), place.topic)
    with place.open() as sink:
        assert sink.takes(fits)
        assert not sink.takes(too_large)
        sink.send(fits, delivery(1))
        settle(place, sink, lambda found: len(found) == 1)


def test_a_message_that_fails_is_raised_and_breaks_the_sink(place: Place) -> None:
    with place.open() as sink:
        send(place, sink, 4)
        settle(place, sink, lambda found: len(found) == 4)
        assert not sink.broken
        place.refuse(sink)

        sink.send(message("job-0", b"x" * 400, place.topic), delivery(9))
        with pytest.raises(BridgeError):
            settle(place, sink, lambda _: False)
        assert sink.broken


def test_a_broken_sink_takes_and_settles_nothing_more(place: Place) -> None:
    with place.open() as sink:
        place.refuse(sink)
        sink.send(message("job-0", b"x" * 400, place.topic), delivery(1))
        with pytest.raises(BridgeError):
            settle(place, sink, lambda _: False)

        with pytest.raises(Retryable):
            for number in range(2, 50):
                sink.send(message("job-0", b"x" * 400, place.topic), delivery(number))
                place.pulse(sink)
                assert list(sink.settled()) == []


@pytest.fixture
def cluster(kafka: Kafka, topic: str) -> Cluster:
    return Cluster(kafka, topic)


@pytest.fixture
def behind_a_proxy(kafka: Kafka, topic: str) -> Iterator[tuple[Cluster, Kafka]]:
    yield Cluster(kafka, topic, f"127.0.0.1:{kafka.proxy_port}"), kafka


def test_the_partition_is_the_one_kafkas_default_partitioner_gives(cluster: Cluster) -> None:
    keys = [f"job-{number}-{'ü' * (number % 5)}" for number in range(60)]
    with cluster.open() as sink:
        for number, key in enumerate(keys):
            sink.send(message(key, key.encode(), cluster.topic), delivery(number))
        settle(cluster, sink, lambda found: len(found) == len(keys))

    producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap)
    for key in keys:
        producer.send(cluster.topic, b"its own choice", key.encode())
    producer.close()

    chosen: dict[bytes | None, set[int]] = {}
    for record in cluster.kafka.read(cluster.topic):
        chosen.setdefault(record.key, set()).add(record.partition)
    assert len(chosen) == 60
    assert {len(each) for each in chosen.values()} == {1}
    assert {number for each in chosen.values() for number in each} == {0, 1, 2}


def test_headers_arrive_as_they_were_given(cluster: Cluster) -> None:
    headers = [("ce_id", b"t-1"), ("content-type", b"application/json")]
    with cluster.open() as sink:
        sink.send(Message(cluster.topic, b"job-0", b"{}", headers), delivery(1))
        settle(cluster, sink, lambda found: len(found) == 1)

    (record,) = cluster.kafka.read(cluster.topic)
    assert list(record.headers) == headers


def test_what_was_not_written_when_a_sink_closes_is_never_delivered(behind_a_proxy: tuple[Cluster, Kafka]) -> None:
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy:
        with cluster.open() as sink:
            send(cluster, sink, 3)
            settle(cluster, sink, lambda found: len(found) == 3)
            proxy.refuse()
            proxy.reset()
            sink.send(message("job-0", b"late", cluster.topic), delivery(9))
            before = time.monotonic()
        assert time.monotonic() - before < 6
        assert [one.name for one in threading.enumerate() if "network-thread" in one.name] == []
        proxy.pass_through()
        with cluster.open() as another:
            another.send(message("job-0", b"mark", cluster.topic), delivery(10))
            settle(cluster, another, lambda found: len(found) == 1)

    assert proxy.counts.reset > 0
    values = [value for each in cluster.written() for value in each]
    assert b"mark" in values and b"late" not in values


def test_a_connection_that_breaks_is_mended_without_loss_or_repetition(
    behind_a_proxy: tuple[Cluster, Kafka]
) -> None:
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy, cluster.open() as sink:
        for number in range(60):
            sink.send(message(f"job-{number % 4}", b"%d" % number, cluster.topic), delivery(number))
            if number % 20 == 10:
                proxy.reset()
        settle(cluster, sink, lambda found: len(found) == 60)

        assert proxy.counts.reset > 0
    values = [value for each in cluster.written() for value in each]
    assert sorted(values) == sorted(b"%d" % number for number in range(60))
    for each in cluster.written():
        for key in range(4):
            mine = [int(value) for value in each if int(value) % 4 == key]
            assert mine == sorted(mine)


def test_a_topic_that_is_missing_is_said_before_anything_is_sent(kafka: Kafka) -> None:
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic="nowhere")

    with pytest.raises(Misconfigured, match="nowhere does not exist"):
        KafkaSink(config, "nowhere-dlq", threading.Event()).__enter__()

    with kafka.admin() as admin:
        assert "nowhere" not in admin.list_topics()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaks what did not connect
def test_a_broker_out_of_reach_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.sink.client.BOOTSTRAP_MS", 300)
    config = settings(kafka__bootstrap_servers="127.0.0.1:1", kafka__topic="jobs")

    with pytest.raises(Retryable) as caught:
        KafkaSink(config, "jobs-dlq", threading.Event()).__enter__()

    assert caught.value.part == "kafka"
    del caught
    gc.collect()
