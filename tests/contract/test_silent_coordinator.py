"""The store in Kafka while the network to Kafka is silent, and after that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bridge.errors import BridgeError, Fenced, Retryable
from bridge.kafka.librdkafka import group_ownership
from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
from tests.support.factories import at, checkpoint
from tests.support.servers.kafka import Kafka
from tests.support.servers.proxy import TcpProxy
from tests.support.stores_under_test import KafkaStore, acquired, owned

#: How long a renewal may take: the loop must not stand still for longer.
RENEWAL_SECONDS = 1.5
#: The pause between two renewals of a bridge.
PULSE_SECONDS = 0.25
#: Generous: only a store that never recovers reaches it.
RECOVERY_SECONDS = 60.0


@pytest.fixture
def stores(kafka: Kafka, topic: str) -> Iterator[KafkaStore]:
    stores = KafkaStore(kafka, topic)
    owned(stores).release()  # the first member of the first group waits for Kafka's own topics
    yield stores
    stores.close()


@pytest.fixture
def network(kafka: Kafka) -> Iterator[TcpProxy]:
    with kafka.proxy() as proxy:
        yield proxy


@pytest.fixture
def owner(stores: KafkaStore, network: TcpProxy) -> KafkaCheckpointStore:
    store = stores.open(kafka__bootstrap_servers=network.address)
    assert acquired(store)
    store.save(checkpoint(1))
    return store


def timed(call: Callable[[], object]) -> tuple[float, BridgeError | None]:
    started = time.monotonic()
    try:
        call()
    except BridgeError as error:
        return time.monotonic() - started, error
    return time.monotonic() - started, None


def renew_until_refused(store: KafkaCheckpointStore) -> tuple[float, BridgeError]:
    """Renew as a bridge does; return when it was refused, and the error."""
    started = time.monotonic()
    while True:
        seconds, error = timed(store.renew)
        assert seconds < RENEWAL_SECONDS
        if error is not None:
            return time.monotonic() - started, error
        assert time.monotonic() - started < RECOVERY_SECONDS
        time.sleep(PULSE_SECONDS)


def test_a_silent_coordinator_ends_the_sending(
    owner: KafkaCheckpointStore, network: TcpProxy
) -> None:
    """An owner stops before the coordinator gives the partition to another bridge."""
    network.silence()

    seconds, error = renew_until_refused(owner)

    assert isinstance(error, Retryable)
    assert seconds < group_ownership.SILENT_SECONDS + RENEWAL_SECONDS


def test_an_owner_resumes_after_a_silence(owner: KafkaCheckpointStore, network: TcpProxy) -> None:
    network.silence()
    renew_until_refused(owner)
    network.pass_through()

    deadline = time.monotonic() + RECOVERY_SECONDS
    while timed(lambda: owner.save(checkpoint(2, sequence=2)))[1] is not None:
        assert time.monotonic() < deadline
        time.sleep(PULSE_SECONDS)

    stored = owner.load()
    assert stored is not None and stored.position == at(2)
    assert owner.epoch == 1


def test_a_cut_off_owner_is_fenced(
    stores: KafkaStore, owner: KafkaCheckpointStore, network: TcpProxy
) -> None:
    standby = stores.open()
    assert standby.acquire() != ""
    network.silence()
    renew_until_refused(owner)
    assert acquired(standby)
    standby.save(checkpoint(5, sequence=5))
    network.pass_through()

    deadline = time.monotonic() + RECOVERY_SECONDS
    while not isinstance(timed(lambda: owner.save(checkpoint(9, sequence=9)))[1], Fenced):
        assert time.monotonic() < deadline
        time.sleep(PULSE_SECONDS)

    stored = stores.open().load()
    assert stored is not None and stored.position == at(5)


def test_a_release_during_a_silence_ends_soon(
    owner: KafkaCheckpointStore, network: TcpProxy
) -> None:
    network.silence()

    seconds, error = timed(owner.release)

    assert error is None
    assert seconds < 3.0


def test_a_sinks_position_is_read_again(stores: KafkaStore) -> None:
    """After a failure the position in memory may be ahead of the stored one."""
    store = stores.open()
    assert acquired(store)
    store.save(checkpoint(1))
    store.sink(stores.settings(), None, threading.Event())
    store.discard()

    for call in (store.renew, lambda: store.save(checkpoint(2, sequence=1))):
        with pytest.raises(Retryable, match="the position is read again"):
            call()
    assert acquired(store)
    store.save(checkpoint(2, sequence=1))


def test_a_lost_producer_is_replaced_without_a_sink(stores: KafkaStore) -> None:
    store = stores.open()
    assert acquired(store)
    store.save(checkpoint(1))
    store.discard()

    store.save(checkpoint(2, sequence=1))

    stored = stores.open().load()
    assert stored is not None and stored.position == at(2)


def test_a_removed_record_is_stored_again(stores: KafkaStore) -> None:
    """Also when the producer fails: a bridge then reads before it becomes the owner again."""
    store = stores.open()
    assert acquired(store)
    store.save(checkpoint(3))
    store.sink(stores.settings(), None, threading.Event())
    stores.vanish()
    store.discard()

    store.load()
    assert acquired(store)

    stored = store.load()
    assert stored is not None and stored.position == at(3)
