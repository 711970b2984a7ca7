"""Transactions of one producer and its successors, with a real Kafka."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from bridge.demo.servers.process import poll
from bridge.errors import Misconfigured, Retryable
from bridge.kafka import timeouts
from bridge.kafka.librdkafka import broker_support
from bridge.kafka.librdkafka.transactional_client import TransactionalClient
from bridge.kafka.librdkafka.transactional_producer import TransactionalProducer
from tests.support.servers.kafka import Kafka
from tests.support.transactions import SETTLE_SECONDS, TransactionScenario


@pytest.fixture
def scenario(kafka: Kafka, topic: str) -> Iterator[TransactionScenario]:
    scenario = TransactionScenario(kafka, topic)
    yield scenario
    scenario.close()


@pytest.fixture
def behind_proxy(kafka: Kafka, topic: str) -> Iterator[TransactionScenario]:
    scenario = TransactionScenario(kafka, topic, f"127.0.0.1:{kafka.proxy_port}")
    yield scenario
    scenario.close()


def test_a_transaction_is_visible_once_committed(scenario: TransactionScenario) -> None:
    producer = scenario.open()
    scenario.add(producer, b"first")
    poll(lambda: scenario.records("read_uncommitted") == [b"first"], "the record")
    assert producer.in_transaction
    assert scenario.records() == []

    scenario.commit(producer, b"second")

    assert not producer.in_transaction
    assert scenario.records() == [b"first", b"second"]


def test_transactions_follow_each_other(scenario: TransactionScenario) -> None:
    producer = scenario.open()
    for number in range(30):
        scenario.commit(producer, b"%d" % number)

    assert scenario.records() == [b"%d" % number for number in range(30)]


def test_a_commit_without_transaction_succeeds(scenario: TransactionScenario) -> None:
    assert scenario.open().commit().result(0) is None


def test_a_discarded_transaction_never_becomes_visible(scenario: TransactionScenario) -> None:
    """Messages on the wire included: the successor aborts them."""
    first = scenario.open()
    scenario.commit(first, b"committed")
    scenario.add(first, b"discarded")
    poll(lambda: b"discarded" in scenario.records("read_uncommitted"), "the record")
    first.discard()

    scenario.commit(scenario.open(), b"after")

    assert scenario.records() == [b"committed", b"after"]
    with pytest.raises(Retryable):
        first.begin()
    with pytest.raises(Retryable):
        first.commit().result(0)


def test_a_successor_aborts_the_open_transaction(scenario: TransactionScenario) -> None:
    """Without waiting for its timeout, which would withhold later messages from readers."""
    scenario.add(scenario.open(), b"open")
    poll(lambda: scenario.records("read_uncommitted") == [b"open"], "the record")
    started = time.monotonic()

    scenario.commit(scenario.open(), b"after")

    assert scenario.records() == [b"after"]
    assert time.monotonic() - started < timeouts.TRANSACTION_SECONDS / 2


def test_a_fenced_commit_never_becomes_visible(scenario: TransactionScenario) -> None:
    stale = scenario.open()
    scenario.add(stale, b"stale")
    poll(lambda: scenario.records("read_uncommitted") == [b"stale"], "the record")
    owner = scenario.open()

    with pytest.raises(Retryable, match="another process uses its transactional id"):
        stale.commit().result(SETTLE_SECONDS)

    assert stale.failed
    scenario.commit(owner, b"owner")
    assert scenario.records() == [b"owner"]


def test_a_fenced_producer_starts_no_transaction(scenario: TransactionScenario) -> None:
    stale = scenario.open()
    scenario.commit(stale, b"before")
    owner = scenario.open()

    with pytest.raises(Retryable, match="another process uses its transactional id"):
        scenario.commit(stale, b"stale")

    scenario.commit(owner, b"owner")
    assert scenario.records() == [b"before", b"owner"]


def test_interleaved_owners_do_not_both_commit(
    scenario: TransactionScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another owner takes over both transactional ids while the first has only one of them."""
    owners: list[TransactionalProducer] = []
    init = TransactionalClient.init
    calls = itertools.count(1)

    def interleaved(client: TransactionalClient, seconds: float) -> Future[None]:
        if next(calls) == 2:
            owners.append(scenario.open())
        return init(client, seconds)

    monkeypatch.setattr(TransactionalClient, "init", interleaved)
    owners.append(scenario.open())
    second, first = owners

    with pytest.raises(Retryable):
        scenario.commit(first, b"first")
    scenario.commit(second, b"second")
    with pytest.raises(Retryable):
        scenario.commit(second, b"not second")

    assert scenario.records() == [b"second"]


def test_transactions_use_both_ids_in_turn(scenario: TransactionScenario) -> None:
    """Kafka is not ready for the next transaction of an id when it has confirmed the last."""
    producer = scenario.open()
    clients = []
    for number in range(4):
        scenario.commit(producer, b"%d" % number)
        clients.append(producer.client)

    assert clients[0] is clients[2] is not clients[1] is clients[3]


def test_a_transaction_that_timed_out_is_retried(
    scenario: TransactionScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is the same as after fencing; nothing but a new producer helps."""
    monkeypatch.setattr(timeouts, "TRANSACTION_SECONDS", 1.0)
    monkeypatch.setattr(timeouts, "TRANSACTION_REQUEST_SECONDS", 1.0)
    producer = scenario.open()
    scenario.add(producer, b"late")
    poll(lambda: scenario.records("read_uncommitted") == [b"late"], "the record")
    # A reader of committed records reaches this record once the coordinator has aborted.
    scenario.write_outside(b"other")
    poll(lambda: scenario.records() == [b"other"], "the abort")

    with pytest.raises(Retryable, match="timed out"):
        producer.commit().result(SETTLE_SECONDS)

    scenario.commit(scenario.open(), b"new")
    assert scenario.records() == [b"other", b"new"]


def test_an_unanswered_commit_is_repeated(
    behind_proxy: TransactionScenario, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed once, and the producer, whose requests may be late, is not used again."""
    monkeypatch.setattr(timeouts, "COMMIT_CALL_SECONDS", 0.3)
    with kafka.proxy() as proxy:
        producer = behind_proxy.open()
        behind_proxy.commit(producer, b"first")
        behind_proxy.add(producer, b"second")
        poll(lambda: b"second" in behind_proxy.records("read_uncommitted"), "the record")
        poll(lambda: not len(producer.client), "the acknowledgement")
        proxy.withhold_answers()
        held = proxy.counts.held
        commit = producer.commit()
        poll(lambda: behind_proxy.records() == [b"first", b"second"], "the commit")
        poll(lambda: proxy.counts.held > held, "the withheld answer")
        time.sleep(2 * timeouts.COMMIT_CALL_SECONDS)  # the call is repeated
        assert not commit.done()
        proxy.pass_through()

        assert commit.result(SETTLE_SECONDS) is None
        with pytest.raises(Retryable):
            producer.begin()
        behind_proxy.commit(behind_proxy.open(), b"third")

    assert behind_proxy.records() == [b"first", b"second", b"third"]


def test_a_commit_ends_at_its_deadline(
    behind_proxy: TransactionScenario, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "COMMIT_CALL_SECONDS", 0.3)
    monkeypatch.setattr(timeouts, "COMMIT_SECONDS", 1.0)
    with kafka.proxy() as proxy:
        producer = behind_proxy.open()
        behind_proxy.add(producer, b"unknown")
        poll(lambda: not len(producer.client), "the acknowledgement")
        proxy.silence()
        with pytest.raises(Retryable, match="did not confirm a transaction within 1 s"):
            producer.commit().result(10)
        assert producer.failed
        producer.discard()
        proxy.reset()
        proxy.pass_through()
        monkeypatch.setattr(timeouts, "COMMIT_SECONDS", SETTLE_SECONDS)
        behind_proxy.commit(behind_proxy.open(), b"after")

    # A request in the silent network may still have been executed, or not.
    assert behind_proxy.records() in ([b"after"], [b"unknown", b"after"])


def test_a_hanging_call_ends_at_its_deadline(
    scenario: TransactionScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """librdkafka does not always keep its timeouts."""
    monkeypatch.setattr(timeouts, "COMMIT_SECONDS", 1.0)
    producer = scenario.open()
    monkeypatch.setattr(
        TransactionalClient, "_commit", lambda *arguments: time.sleep(SETTLE_SECONDS)
    )
    scenario.add(producer, b"hangs")
    commit = producer.commit()

    with pytest.raises(Retryable, match="did not confirm a transaction within 1 s"):
        commit.result(10)

    started = time.monotonic()
    producer.discard()
    assert time.monotonic() - started < 1
    monkeypatch.undo()
    scenario.commit(scenario.open(), b"after")
    assert scenario.records() == [b"after"]


def test_a_discard_ends_the_commit_under_way(
    behind_proxy: TransactionScenario, kafka: Kafka
) -> None:
    with kafka.proxy() as proxy:
        producer = behind_proxy.open()
        behind_proxy.add(producer, b"unknown")
        proxy.silence()
        commit = producer.commit()
        started = time.monotonic()
        producer.discard()

        with pytest.raises(Retryable):
            commit.result(5)
        assert time.monotonic() - started < 2
        proxy.reset()
        proxy.pass_through()


def test_a_silent_broker_delays_opening_until_the_deadline(
    behind_proxy: TransactionScenario, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kafka.proxy() as proxy:
        behind_proxy.open().discard()
        monkeypatch.setattr(timeouts, "INIT_SECONDS", 1.0)
        monkeypatch.setattr(
            "tests.support.transactions.LibrdkafkaTopics.describe", lambda *names: {}
        )
        proxy.silence()
        with pytest.raises(Retryable):
            behind_proxy.open()


def test_brokers_before_2_7_are_refused(
    scenario: TransactionScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real log of a real broker, with a higher bound."""
    monkeypatch.setattr(broker_support, "_FENCING_VERSION", 99)

    with pytest.raises(Misconfigured, match=r"broker \S+ is older than 2\.7"):
        scenario.open()
