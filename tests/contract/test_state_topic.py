"""Reading the position back from the state topic, which other producers write to as well."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from bridge.demo.servers.process import poll
from bridge.errors import CheckpointUnusable, Misconfigured, Retryable
from bridge.kafka.librdkafka import state_topic
from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
from tests.support.factories import at, checkpoint
from tests.support.servers.kafka import Kafka
from tests.support.stores_under_test import KafkaStore, acquired, owned

#: More than the first two parts that are read.
MANY = 2500


@pytest.fixture
def stores(kafka: Kafka, topic: str) -> Iterator[KafkaStore]:
    stores = KafkaStore(kafka, topic)
    yield stores
    stores.close()


@pytest.fixture
def saved(stores: KafkaStore) -> KafkaStore:
    """A state topic with a position that its bridge stored before it stopped."""
    store = owned(stores)
    store.save(checkpoint(3))
    store.release()
    return stores


@contextmanager
def foreign_transaction(stores: KafkaStore) -> Iterator[Producer]:
    """A record of another producer in the state topic, whose transaction is open."""
    producer = Producer(
        {"bootstrap.servers": stores.kafka.bootstrap, "transactional.id": f"foreign-{stores.topic}"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(stores.state_topic, b"{}", b"foreign", 0)
    producer.flush(30)
    yield producer
    del producer


def loads(store: KafkaCheckpointStore) -> None:
    stored = store.load()
    assert stored is not None and stored.position == at(3)


def test_an_owner_waits_for_open_transactions(saved: KafkaStore) -> None:
    store = saved.open()
    with foreign_transaction(saved) as producer, ThreadPoolExecutor(1) as executor:
        acquiring = executor.submit(acquired, store)
        poll(lambda: saved.open().describe().owner is not None, "the membership")
        with pytest.raises(TimeoutError):
            acquiring.result(1.0)

        producer.commit_transaction(30)

        assert acquiring.result(30)
    loads(store)


def test_an_owner_waits_with_a_deadline(saved: KafkaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_topic, "OWNER_SECONDS", 1.0)
    store = saved.open()
    with foreign_transaction(saved) as producer:
        with pytest.raises(Retryable, match="a transaction of another producer is open"):
            acquired(store)
        producer.abort_transaction(30)

    assert acquired(store)
    loads(store)


def test_others_read_before_open_transactions(saved: KafkaStore) -> None:
    with foreign_transaction(saved) as producer:
        loads(saved.open())
        producer.abort_transaction(30)


def test_aborted_records_do_not_count(stores: KafkaStore) -> None:
    """A topic with markers only is empty: a first start."""
    with foreign_transaction(stores) as producer:
        producer.abort_transaction(30)

    assert owned(stores).load() is None


def test_the_position_is_found_before_many_others(saved: KafkaStore) -> None:
    saved.write("other", b"{}", MANY)

    loads(saved.open())
    store = saved.open()
    assert acquired(store)
    loads(store)


@pytest.mark.parametrize("count", [1, MANY])
def test_a_topic_without_our_position_is_refused(stores: KafkaStore, count: int) -> None:
    """A start at the present would skip all transitions since a position that was lost."""
    stores.write("other", b"{}", count)
    store = stores.open()
    assert acquired(store)

    with pytest.raises(CheckpointUnusable, match="has records, but no position of 'bridge'"):
        store.load()

    store.replace(None)
    assert store.load() is None and store.cleared


def test_a_given_start_needs_no_position(stores: KafkaStore) -> None:
    stores.write("other", b"{}")

    assert stores.open(start__from="history").load() is None


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"{}", b'{"format": 1}', b'{"format": 99}'])
def test_a_damaged_record_is_refused(saved: KafkaStore, value: bytes) -> None:
    saved.write("bridge", value)
    store = saved.open()
    assert acquired(store)

    with pytest.raises(CheckpointUnusable):
        store.load()

    (entry,) = store.entries()
    assert entry.damage


def test_a_deleted_record_is_no_position(saved: KafkaStore) -> None:
    """Compaction removes it, and nothing shows whether that was on purpose."""
    saved.write("other", b"{}")
    saved.write("bridge", None)

    with pytest.raises(CheckpointUnusable, match="no position of 'bridge'"):
        saved.open().load()


def test_a_compacted_topic_keeps_the_position(saved: KafkaStore, kafka: Kafka) -> None:
    saved.write("other", b"{}", 200)
    before = len(kafka.read(saved.state_topic))
    kafka.alter_topic(
        saved.state_topic,
        segment_ms=100,
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms=100,
    )

    def is_compacted() -> bool:
        saved.write("other", b"{}")  # closes the segment
        return len(kafka.read(saved.state_topic)) < before

    poll(is_compacted, "the compaction", 60)

    loads(saved.open())


@pytest.mark.parametrize("act", ["load", "save"])
def test_a_vanished_record_is_stored_again(
    stores: KafkaStore, act: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = owned(stores)
    store.save(checkpoint(2, sequence=2))
    stores.vanish()

    if act == "save":
        store.save(checkpoint(3, sequence=3))
    else:
        store.load()
        assert "vanished: something removed" in caplog.text

    stored = stores.open().load()
    assert stored is not None and stored.position == at(3 if act == "save" else 2)


def test_a_missing_state_topic_names_the_command(kafka: Kafka, topic: str) -> None:
    stores = KafkaStore(kafka, topic)
    kafka.delete_topic(stores.state_topic)
    with kafka.admin() as admin:
        poll(lambda: stores.state_topic not in admin.list_topics(), "the deletion")
    store = stores.open()

    for call in (store.load, store.acquire, store.check_rights, store.entries):
        with pytest.raises(Misconfigured, match=r"state topic .* 'job-bridge topics create'"):
            call()
