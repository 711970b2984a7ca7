"""A sink that sends in the transactions of its store's producer, with a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.errors import Retryable
from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.transactions import SETTLE_SECONDS, TransactionScenario


@pytest.fixture
def scenario(kafka: Kafka, topic: str) -> Iterator[TransactionScenario]:
    scenario = TransactionScenario(kafka, topic)
    scenario.open()
    yield scenario
    scenario.close()


def test_messages_and_position_are_committed_together(scenario: TransactionScenario) -> None:
    with scenario.sink() as sink:
        sink.send(scenario.sendings(b"1", b"2", b"3"))
        scenario.add(scenario.producer, b"position 3")
        scenario.settle(sink, 3)
        assert scenario.messages() == [[], [], []]
        assert scenario.records() == []
        scenario.commit(scenario.producer)

    assert sorted(scenario.visible()) == [b"1", b"2", b"3"]
    assert scenario.records() == [b"position 3"]


def test_messages_of_a_job_stay_in_order(scenario: TransactionScenario) -> None:
    """Several requests are in flight at once, in several transactions."""
    total = 2000
    with scenario.sink() as sink:
        for start in range(0, total, 500):
            for first in range(start, start + 500, 50):
                values = [b"%d" % number for number in range(first, first + 50)]
                sink.send(scenario.sendings(*values, keys=1))
            scenario.settle(sink, 500)
            scenario.commit(scenario.producer)

    (partition,) = [values for values in scenario.messages() if values]
    assert partition == [b"%d" % number for number in range(total)]


def test_leaving_discards_an_open_transaction(scenario: TransactionScenario) -> None:
    with scenario.sink() as sink:
        sink.send(scenario.sendings(b"lost"))
        scenario.settle(sink, 1)

    with pytest.raises(Retryable, match="discarded"):
        _ = scenario.producer
    scenario.commit(scenario.open(), b"after")
    assert scenario.messages() == [[], [], []]


def test_leaving_keeps_an_idle_producer(scenario: TransactionScenario) -> None:
    """The store makes its last save with it."""
    producer = scenario.producer
    with scenario.sink() as sink:
        sink.send(scenario.sendings(b"1"))
        scenario.settle(sink, 1)
        scenario.commit(producer)

    assert scenario.producer is producer
    scenario.commit(producer, b"last")
    assert scenario.records() == [b"last"]


def test_a_fenced_sink_fails_for_a_retry(scenario: TransactionScenario) -> None:
    with scenario.sink() as stale:
        scenario.open()
        stale.send(scenario.sendings(b"stale"))
        with pytest.raises(Retryable, match="another process uses its transactional id"):
            scenario.settle(stale, 2)
        assert stale.broken
        with pytest.raises(Retryable):
            stale.send(scenario.sendings(b"stale"))

    assert scenario.messages() == [[], [], []]


def test_a_refused_message_ends_the_producer(scenario: TransactionScenario) -> None:
    """The topic's limit was lowered; nothing of the transaction becomes visible."""
    with scenario.sink() as sink:
        sink.send(scenario.sendings(b"small"))
        scenario.settle(sink, 1)
        scenario.kafka.alter_topic(scenario.topic, max_message_bytes=100)
        sink.send(scenario.sendings(b"x" * 1000))
        with pytest.raises(Retryable, match="size limit was lowered"):
            scenario.settle(sink, 1)
        with pytest.raises(Retryable):
            scenario.producer.commit().result(SETTLE_SECONDS)

    scenario.commit(scenario.open(), b"after")
    assert scenario.messages() == [[], [], []]
    assert scenario.records() == [b"after"]


def test_large_messages_fit(kafka: Kafka, topic: str) -> None:
    size = 3_000_000
    kafka.alter_topic(topic, max_message_bytes=size + 1000)
    scenario = TransactionScenario(kafka, topic)
    scenario.open()
    with scenario.sink() as sink:
        assert sink.max_message_bytes(topic) == size + 1000
        sink.send(scenario.sendings(b"x" * size))
        scenario.settle(sink, 1)
        scenario.commit(scenario.producer)
    scenario.close()

    assert [len(value) for value in scenario.visible()] == [size]


def test_dead_letters_are_in_the_transaction(scenario: TransactionScenario) -> None:
    letters = f"{scenario.topic}-dlq"
    with scenario.sink() as sink:
        sink.send(scenario.sendings(b"letter", topic=letters))
        scenario.settle(sink, 1)
        assert scenario.messages(letters) == [[], [], []]
        scenario.commit(scenario.producer)

    assert scenario.messages(letters) == [[b"letter"], [], []]


def test_offsets_are_those_of_the_topic(scenario: TransactionScenario) -> None:
    """Markers occupy offsets; dead letters and positions do not count."""
    with scenario.sink() as sink:
        assert sink.offsets() == {}
        for number in range(3):
            sink.send(scenario.sendings(b"%d" % number, keys=1))
            sink.send(scenario.sendings(b"letter", topic=f"{scenario.topic}-dlq"))
            scenario.add(scenario.producer, b"position")
            scenario.settle(sink, 2)
            scenario.commit(scenario.producer)
        records = scenario.kafka.read(scenario.topic)

        assert sink.offsets() == {records[-1].partition: records[-1].offset + 1}
        assert records[-1].offset == 4, "two markers are between the messages"


def test_a_deleted_topic_is_reported(scenario: TransactionScenario) -> None:
    with scenario.sink() as sink:
        sink.send(scenario.sendings(b"1"))
        scenario.settle(sink, 1)
        scenario.commit(scenario.producer)
        scenario.kafka.delete_topic(scenario.topic)
        sink.send([(message("job-1", b"2", scenario.topic), delivery(2))])
        with pytest.raises(Retryable, match="was deleted"):
            scenario.settle(sink, 1)


def test_a_killed_broker_commits_once(kafka: Kafka, topic: str) -> None:
    """The commit outlasts the restart, or ends at its deadline and is decided by the log."""
    scenario = TransactionScenario(kafka, topic)
    scenario.open()
    with scenario.sink() as sink:
        sink.send(scenario.sendings(b"1"))
        scenario.add(scenario.producer, b"position 1")
        scenario.settle(sink, 1)
        kafka.kill()
        commit = scenario.producer.commit()
        kafka.start()
        committed = commit.exception(SETTLE_SECONDS) is None
    scenario.reopen()  # completes the commit, or aborts

    visible = scenario.visible()
    assert visible in ([b"1"], [])
    assert scenario.records() == [b"position " + value for value in visible]
    assert visible or not committed
    scenario.close()
