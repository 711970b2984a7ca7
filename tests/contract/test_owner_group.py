"""Bridges that share a checkpoint in Kafka: hand-over, death, a frozen owner, a rebalance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from confluent_kafka import ConsumerGroupState

from bridge.errors import Fenced, Retryable
from bridge.kafka import timeouts
from bridge.kafka.librdkafka import group
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
from bridge.kafka.librdkafka.group_members import member_client_id
from bridge.kafka.topics import owner_id_of
from bridge.model.position import Position
from tests.support.factories import at, checkpoint
from tests.support.servers.kafka import Kafka
from tests.support.store_process import StoreProcess
from tests.support.stores_under_test import KafkaStore, acquired, owned

#: How long a standby may need when the owner gives the ownership back.
HAND_OVER_SECONDS = 2.0
#: How long a standby may need when the owner is silent.
TAKE_OVER_SECONDS = timeouts.GROUP_SESSION_SECONDS + 2.0


@pytest.fixture
def stores(kafka: Kafka, topic: str) -> Iterator[KafkaStore]:
    stores = KafkaStore(kafka, topic)
    owned(stores).release()  # the first member of the first group waits for Kafka's own topics
    yield stores
    stores.close()


@pytest.fixture
def owner(stores: KafkaStore, kafka: Kafka) -> Iterator[StoreProcess]:
    """A bridge in another process, which owns the checkpoint."""
    with StoreProcess(stores.topic, kafka.bootstrap) as process:
        assert process.ask("acquire") == "ok"
        assert process.ask("save 1") == "ok"
        yield process


def seconds_to_own(store: object) -> float:
    started = time.monotonic()
    assert acquired(store, 30.0)  # type: ignore[arg-type]
    return time.monotonic() - started


def position(store: object) -> Position:
    stored = store.load()  # type: ignore[attr-defined]
    assert stored is not None
    return stored.position  # type: ignore[no-any-return]


def test_a_standby_takes_over_after_a_release(
    stores: KafkaStore, owner: StoreProcess, kafka: Kafka
) -> None:
    standby = stores.open()
    assert f"process {owner.pid} on" in standby.acquire()
    # The hand-over is measured, and not how long a new client looks for the coordinator.
    await_member(standby, owner, AdminClient({"bootstrap.servers": kafka.bootstrap}))

    assert owner.ask("release") == "ok"

    assert seconds_to_own(standby) < HAND_OVER_SECONDS
    assert standby.epoch == 2
    assert position(standby) == at(1)


def test_a_restart_replaces_its_dead_self(stores: KafkaStore, owner: StoreProcess) -> None:
    owner.kill()

    restarted = stores.open()

    assert seconds_to_own(restarted) < 2.5
    assert position(restarted) == at(1)


def test_a_member_of_another_host_is_not_removed(
    stores: KafkaStore, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process may live, though this host has no process of its number."""
    elsewhere = member_client_id(0.0).replace("job-bridge_", "job-bridge_elsewhere-", 1)
    with monkeypatch.context() as patch:
        patch.setattr(group, "member_client_id", lambda joined_at: elsewhere)
        owner = owned(stores)

    standby = stores.open()

    assert "on elsewhere-" in standby.acquire()
    owner.save(checkpoint(1))


def test_a_frozen_owner_is_replaced_and_fenced(stores: KafkaStore, owner: StoreProcess) -> None:
    standby = stores.open()
    for _ in "look", "join":
        assert standby.acquire() != ""

    owner.stop()
    assert seconds_to_own(standby) < TAKE_OVER_SECONDS
    standby.save(checkpoint(2, sequence=2))
    owner.resume()

    assert owner.ask("save 9").startswith("Fenced: Another bridge took over: the bridge with")
    assert position(stores.open()) == at(2)
    standby.save(checkpoint(3, sequence=3))


def test_a_short_freeze_keeps_the_ownership(stores: KafkaStore, owner: StoreProcess) -> None:
    owner.stop()
    time.sleep(timeouts.GROUP_SESSION_SECONDS / 2)
    owner.resume()

    assert owner.ask("save 2") == "ok"
    assert position(stores.open()) == at(2)


def test_standbys_that_come_and_go_leave_the_owner(stores: KafkaStore, owner: StoreProcess) -> None:
    """Cooperative assignment: no join or leave of others interrupts the owner."""
    for number in range(2, 5):
        standby = stores.open()
        for _ in "look", "join":
            assert standby.acquire() != ""
        assert owner.ask(f"save {number}") == "ok"
        standby.release()
        assert owner.ask(f"renew {number}") == "ok"

    assert position(stores.open()) == at(4)


def test_a_first_look_joins_no_group(stores: KafkaStore, owner: StoreProcess) -> None:
    """It would leave at once, while it joins, and the group would wait for its session."""
    command = stores.open()

    assert f"process {owner.pid} on" in command.acquire()

    assert not command._ownership.joined


def test_a_standby_that_stops_leaves_the_group(
    stores: KafkaStore, owner: StoreProcess, kafka: Kafka
) -> None:
    """Otherwise the next rebalance waits until its session ends, and the owner with it."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    standby = stores.open()
    await_member(standby, owner, admin)
    assert standby.acquire() != ""  # serves its empty assignment
    assert owner.ask("renew 2") == "ok"

    standby.release()

    deadline = time.monotonic() + timeouts.GROUP_SESSION_SECONDS / 2
    while _stable_members(admin) != 1:
        assert time.monotonic() < deadline
        assert owner.ask("renew") == "ok"


def await_member(standby: KafkaCheckpointStore, owner: StoreProcess, admin: AdminClient) -> None:
    """Wait until the group consists of the owner and the standby."""
    while _stable_members(admin) != 2:
        assert standby.acquire() != ""
        assert owner.ask("renew") == "ok"


def _stable_members(admin: AdminClient) -> int:
    """Return the number of members; 0 during a rebalance."""
    group = owner_id_of("bridge")
    description = admin.describe_consumer_groups([group])[group].result(10)
    is_stable = description.state is ConsumerGroupState.STABLE
    return len(description.members) if is_stable else 0


def test_bridges_of_two_names_do_not_meet(stores: KafkaStore) -> None:
    first = owned(stores)
    first.save(checkpoint(1))
    other = stores.open("other", start__from="history")
    assert acquired(other)
    assert other.load() is None

    for number in range(2, 6):
        first.save(checkpoint(number, sequence=number))
        other.save(replace(checkpoint(10 * number, sequence=number), name="other"))

    assert position(first) == at(5)
    assert position(stores.open("other")) == at(50)
    assert [entry.name for entry in first.entries()] == ["bridge", "other"]


def test_members_are_reported_with_their_names(stores: KafkaStore, owner: StoreProcess) -> None:
    standby = stores.open()
    for _ in "look", "join":
        assert standby.acquire() != ""

    seen = standby.describe()

    assert seen.owner is not None and f"process {owner.pid} on" in seen.owner.name
    assert not seen.is_us and seen.owner.since is not None
    (us,) = seen.standbys
    assert us.since is not None and abs(us.since - time.time()) < 60
    assert standby.ownership() == seen
    assert owner_id_of("bridge") == "job-bridge-bridge"


def test_a_static_member_returns_without_a_rebalance(stores: KafkaStore) -> None:
    """A process that is killed and started again on another host keeps its place."""
    first = stores.open(checkpoint__instance="bridge-0")
    assert acquired(first)
    first.save(checkpoint(1))

    second = stores.open(checkpoint__instance="bridge-0")

    assert seconds_to_own(second) < HAND_OVER_SECONDS
    second.save(checkpoint(2, sequence=1))
    deadline = time.monotonic() + TAKE_OVER_SECONDS
    with pytest.raises(Fenced):
        while time.monotonic() < deadline:
            with suppress(Retryable):
                first.save(checkpoint(9, sequence=9))
            time.sleep(0.1)
    assert position(second) == at(2)


@pytest.mark.parametrize("saves", [0, 1])
def test_an_owner_notices_a_short_successor(stores: KafkaStore, saves: int) -> None:
    """It had the ownership while the process was frozen, and has given it back."""
    frozen = owned(stores)
    for number in range(saves):
        frozen.save(checkpoint(1, sequence=number))
    frozen._ownership.release()  # type: ignore[attr-defined]
    successor = owned(stores)
    successor.save(checkpoint(5, sequence=5))
    successor.release()

    with pytest.raises(Fenced):
        frozen.renew()

    assert position(stores.open()) == at(5)
