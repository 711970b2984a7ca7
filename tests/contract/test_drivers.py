"""What both drivers do with a real Kafka beyond the protocol of a sink."""

from __future__ import annotations

import gc
import pydoc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from kafka import KafkaProducer
from kafka.net.compat import KafkaNetClient

from bridge.demo.process import poll
from bridge.errors import BridgeError, Misconfigured, Retryable
from bridge.model.message import Message
from bridge.pipeline.ports import Sink
from bridge.sink.driver import driver_of
from tests.contract.sinks import DRIVERS, MOST, PATIENCE_SECONDS, Cluster, send, settle
from tests.factories import delivery, message, settings
from tests.servers.kafka import Kafka


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(driver: str, kafka: Kafka, topic: str) -> Cluster:
    return Cluster(driver, kafka, topic)


@pytest.fixture
def behind_a_proxy(driver: str, kafka: Kafka, topic: str) -> tuple[Cluster, Kafka]:
    return Cluster(driver, kafka, topic, f"127.0.0.1:{kafka.proxy_port}"), kafka


def test_nothing_sent_behind_a_message_that_failed_is_written(behind_a_proxy: tuple[Cluster, Kafka]) -> None:
    """Else a later transition of the job would arrive first, and the failed one after it."""
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy, cluster.open() as sink:
        sink.send([(message("job-0", b"before", cluster.topic), delivery(1))])
        settle(cluster, sink, lambda found: len(found) == 1)
        kafka.alter_topic(cluster.topic, max_message_bytes=5_000)
        proxy.silence()
        sink.send([(message("job-0", b"x" * 9_000, cluster.topic), delivery(2))])
        poll(lambda: proxy.counts.held > 0, "the message that will fail, alone on its way")
        for number in range(100):
            sink.send([(message("job-0", b"%d" % number, cluster.topic), delivery(3 + number))])
        proxy.pass_through()
        with pytest.raises(BridgeError):
            settle(cluster, sink, lambda _: False)
        for _ in range(3):  # had it gone on, it would have written by now
            cluster.pulse(sink)

    assert [value for each in cluster.written() for value in each] == [b"before"]


def lose_last_batches(partition: Path, kept: int) -> None:
    """What a power cut may do to a partition of a broker that is stopped: only its first batches are left."""
    log = partition / f"{0:020}.log"
    data, end = log.read_bytes(), 0
    for _ in range(kept):
        end += 12 + int.from_bytes(data[end + 8 : end + 12], "big")
    assert end < len(data), "nothing to lose"
    log.write_bytes(data[:end])
    for pattern in ("*.snapshot", "*.index", "*.timeindex"):
        for file in partition.glob(pattern):
            file.unlink()


def test_nothing_is_written_behind_a_failure_when_the_broker_lost_records(
    cluster: Cluster, kafka: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    """It finds that they are out of sequence; a new epoch would let what is behind them in."""
    with cluster.open() as sink:
        for number in range(5):
            sink.send([(message("job-0", b"%d" % number, cluster.topic), delivery(number))])
            settle(cluster, sink, lambda found: len(found) == 1)
        kafka.kill()
        (partition,) = (log.parent for log in (kafka.folder / "data").glob(f"{cluster.topic}-[0-9]/*.log") if log.stat().st_size)
        lose_last_batches(partition, 3)
        # Of more than one batch.
        sink.send([(message("job-0", b"%d" % number + b"x" * 40_000, cluster.topic), delivery(number)) for number in range(5, 25)])
        kafka.start()
        with pytest.raises(Retryable):
            settle(cluster, sink, lambda _: False)
        for _ in range(3):  # had it gone on, it would have written by now
            cluster.pulse(sink)

    assert [value for each in cluster.written() for value in each] == [b"0", b"1", b"2"]
    assert not [each for each in caplog.records if each.exc_info and each.name.startswith("bridge")], "no traceback for what is expected"


def test_a_topic_made_anew_with_fewer_partitions_is_looked_at_again(
    cluster: Cluster, kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sink.terms.METADATA_SECONDS", 1.0)

    def send_more(sink: Sink) -> None:
        sink.send([(message(f"job-{key}", b"", topic), delivery(key)) for key in range(20)])
        cluster.pulse(sink)
        sink.settled()

    with cluster.open() as sink:
        send_more(sink)
        kafka.delete_topic(topic)
        kafka.create_topic(topic, partitions=1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        with pytest.raises(Retryable):
            while time.monotonic() < deadline:
                send_more(sink)

    with cluster.open() as sink:
        sink.send([(message("job-1", b"after", topic), delivery(1))])
        settle(cluster, sink, lambda found: len(found) == 1)


def test_the_partition_is_the_one_kafkas_default_partitioner_gives(cluster: Cluster) -> None:
    keys = [f"job-{number}-{'ü' * (number % 5)}" for number in range(60)]
    with cluster.open() as sink:
        for number, key in enumerate(keys):
            sink.send([(message(key, key.encode(), cluster.topic), delivery(number))])
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


def test_kafka_pythons_sender_is_woken_once_for_all_that_is_handed_over_together(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Woken at the first message of each batch it sends that one alone, and the loop waits for the interpreter."""
    wakes: list[object] = []
    wakeup = KafkaNetClient.wakeup

    def counted(client: KafkaNetClient) -> None:
        wakes.append(client)
        wakeup(client)

    monkeypatch.setattr(KafkaNetClient, "wakeup", counted)
    cluster = Cluster("kafka-python", kafka, topic)
    together = [(message(f"job-{number % 20}", b"{}", topic), delivery(number)) for number in range(60)]
    with cluster.open() as sink:
        sink.send(together)  # waits for what the broker says of the topic
        settle(cluster, sink, lambda found: len(found) == 60)
        wakes.clear()
        for expected in (1, 2):
            sink.send(together)
            assert len(wakes) == expected
            settle(cluster, sink, lambda found: len(found) == 60)

    assert sum(map(len, cluster.written())) == 180


def test_a_batch_too_large_for_its_topic_fails_whole(cluster: Cluster, kafka: Kafka) -> None:
    """A producer that sends it again in parts is done with the first message before the last is written."""
    with cluster.open() as sink:
        sink.send([(message("job-0", b"before", cluster.topic), delivery(0))])
        settle(cluster, sink, lambda found: len(found) == 1)
        kafka.alter_topic(cluster.topic, max_message_bytes=5_000)
        sink.send([(message("job-0", b"%d" % number + b"x" * 900, cluster.topic), delivery(number)) for number in range(20)])
        with pytest.raises(Retryable, match=r"[Tt]oo *[Ll]arge|takes less"):
            settle(cluster, sink, lambda found: bool(found))

    with cluster.open() as sink:
        sink.send([(message("job-0", b"%d" % number + b"x" * 900, cluster.topic), delivery(number)) for number in range(20)])
        settle(cluster, sink, lambda found: len(found) == 20)

    (values,) = filter(None, cluster.written())
    assert values == [b"before", *(b"%d" % number + b"x" * 900 for number in range(20))]


def test_what_waits_for_a_silent_broker_is_written_in_order(behind_a_proxy: tuple[Cluster, Kafka]) -> None:
    """Later hand-overs fill up what earlier ones began."""
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy, cluster.open() as sink:
        sink.send([(message(f"job-{number}", b"connected", cluster.topic), delivery(number)) for number in range(6)])
        settle(cluster, sink, lambda found: len(found) == 6)
        proxy.silence()
        for first in range(0, 1000, 10):
            sink.send([(message(f"job-{number % 6}", b"%d" % number, cluster.topic), delivery(number)) for number in range(first, first + 10)])
            cluster.wake.wait(0.005)  # else all are on their way together
        poll(lambda: proxy.counts.held > 0, "what the broker does not get")
        assert list(sink.settled()) == []
        proxy.pass_through()
        settled = settle(cluster, sink, lambda found: len(found) == 1000)

    assert len({id(one) for one in settled}) == 1000
    written = [[int(value) for value in each if value != b"connected"] for each in cluster.written()]
    assert all(each == sorted(each) for each in written) and sum(map(len, written)) == 1000


def test_headers_arrive_as_they_were_given(cluster: Cluster) -> None:
    headers = [("ce_id", b"t-1"), ("content-type", b"application/json")]
    with cluster.open() as sink:
        sink.send([(Message(cluster.topic, b"job-0", b"{}", headers), delivery(1))])
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
            sink.send([(message("job-0", b"late", cluster.topic), delivery(9))])
            before = time.monotonic()
        assert time.monotonic() - before < 6
        left = [one.name for one in threading.enumerate() if "network-thread" in one.name or "librdkafka" in one.name]
        assert left == []
        proxy.pass_through()
        with cluster.open() as another:
            another.send([(message("job-0", b"mark", cluster.topic), delivery(10))])
            settle(cluster, another, lambda found: len(found) == 1)

    assert proxy.counts.reset > 0
    values = [value for each in cluster.written() for value in each]
    assert b"mark" in values and b"late" not in values


def test_a_connection_that_breaks_is_mended_without_loss_or_repetition(
    behind_a_proxy: tuple[Cluster, Kafka]
) -> None:
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy, cluster.open() as sink:
        sink.send([(message("job-9", b"connected", cluster.topic), delivery(99))])
        settle(cluster, sink, lambda found: len(found) == 1)
        for number in range(60):
            sink.send([(message(f"job-{number % 4}", b"%d" % number, cluster.topic), delivery(number))])
            if number % 20 == 10:
                proxy.reset()
        settle(cluster, sink, lambda found: len(found) == 60)

        assert proxy.counts.reset > 0
    written = [[value for value in each if value != b"connected"] for each in cluster.written()]
    assert sorted(value for each in written for value in each) == sorted(b"%d" % number for number in range(60))
    for each in written:
        for key in range(4):
            mine = [int(value) for value in each if int(value) % 4 == key]
            assert mine == sorted(mine)


def test_a_topic_that_is_missing_is_said_before_anything_is_sent(driver: str, kafka: Kafka) -> None:
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic="nowhere", kafka__driver=driver)

    with pytest.raises(Misconfigured, match="nowhere does not exist"):
        driver_of(config).sink(config, "nowhere-dlq", threading.Event()).__enter__()

    with kafka.admin() as admin:
        assert "nowhere" not in admin.list_topics()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaks what did not connect
def test_a_broker_out_of_reach_is_waited_for(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.sink.terms.BOOTSTRAP_SECONDS", 0.3)
    config = settings(kafka__bootstrap_servers="127.0.0.1:1", kafka__topic="jobs", kafka__driver=driver)

    with pytest.raises(Retryable) as caught:
        driver_of(config).sink(config, "jobs-dlq", threading.Event()).__enter__()

    assert caught.value.part == "kafka"
    del caught
    gc.collect()


@pytest.fixture(scope="module")
def forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker that its controller takes for dead eight seconds out of fourteen: it answers that there is no broker."""
    times = {"broker.session.timeout.ms": "6000", "broker.heartbeat.interval.ms": "14000"}
    with Kafka(tmp_path_factory.mktemp("forgotten"), properties=times) as server:
        poll(lambda: alive(server), "the broker, alive")
        server.create_topic("jobs", max_message_bytes=MOST)
        yield server


def alive(kafka: Kafka) -> bool:
    """Whether the broker knows of a broker; asked by a new client, since one that knew it closes its connection to it."""
    return bool(AdminClient({"bootstrap.servers": kafka.internal}).list_topics(timeout=5).brokers)


def test_a_broker_that_is_taken_for_dead_is_waited_for(
    driver: str, forgotten: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one is for a moment after a pause; asked for more, it lets a client wait for fifteen seconds."""
    config = settings(kafka__bootstrap_servers=forgotten.bootstrap, kafka__topic="jobs", kafka__driver=driver)
    topics = driver_of(config).topics(config)
    poll(lambda: alive(forgotten), "the broker, alive")
    poll(lambda: not alive(forgotten), "the broker, taken for dead")

    with monkeypatch.context() as patch, pytest.raises(Retryable, match=r"knows of none that is up|No broker metadata"):
        patch.setattr("bridge.sink.terms.BOOTSTRAP_SECONDS", 0.5)
        topics.describe("jobs")
    assert not alive(forgotten)
    found = topics.describe("jobs")

    assert alive(forgotten)
    assert found["jobs"].max_message_bytes == MOST


def test_no_answer_is_not_taken_for_a_missing_right(
    driver: str, behind_a_proxy: tuple[Cluster, Kafka], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, kafka = behind_a_proxy
    place = {"kafka-python": "bridge.sink.kafka_python.topics._configs", "librdkafka": "bridge.sink.librdkafka.topics._within"}[driver]
    asked: Any = pydoc.locate(place)

    with kafka.proxy() as proxy:

        def silent(*arguments: object) -> object:
            proxy.silence()
            return asked(*arguments)

        monkeypatch.setattr("bridge.sink.terms.REQUEST_SECONDS", 1.0)
        monkeypatch.setattr(place, silent)
        with pytest.raises(Retryable):
            driver_of(cluster.config).topics(cluster.config).describe(cluster.topic)

        assert proxy.counts.held > 0
