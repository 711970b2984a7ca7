"""Any schedule of two bridges and a checkpoint that vanishes.

The stored position never moves back, two bridges never save in turn, a healthy owner keeps its
checkpoint, and in the end a bridge works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, cast

import pytest

from bridge.errors import Fenced, Retryable
from bridge.mongo.checkpoints import MongoCheckpointStore
from tests.support.factories import at, checkpoint
from tests.support.fake_collection import FakeCollection
from tests.support.fakes import FakeClock

LEASE = 30.0
#: How often a standby polls; an owner renews with each third poll.
POLL = LEASE / 10
RENEW_POLLS = 3
#: More polls than a standby needs to take over from a dead owner, or to store a document again.
PATIENCE = 40
STEPS = 40
SCHEDULES = 400


@dataclass
class Host:
    """A machine with a bridge, which may be frozen, killed and started again."""

    store: MongoCheckpointStore
    clock: FakeClock
    running: bool = True
    frozen: bool = False
    owner: bool = False
    #: Whether it renewed in time since it became the owner.
    healthy: bool = True
    position: int = 0
    sequence: int = 0
    polls: int = 0

    @property
    def works(self) -> bool:
        return self.running and not self.frozen


@dataclass
class Acknowledged:
    """The saves that were acknowledged since the checkpoint was last lost for good."""

    position: int | None = None
    epoch: int = 0
    owners: dict[int, MongoCheckpointStore] = field(default_factory=dict)


class LeaseSchedule:
    """Two bridges as ``app/`` runs them, reduced to their calls of the store."""

    def __init__(self) -> None:
        self.collection = FakeCollection()
        self.clocks = [FakeClock(), FakeClock()]
        self.hosts = [Host(self._store(clock), clock) for clock in self.clocks]
        self.stored = Acknowledged()
        #: Whether the topic has messages: then no bridge starts without a position.
        self.published = False

    def _store(self, clock: FakeClock) -> MongoCheckpointStore:
        return MongoCheckpointStore(
            cast(Any, self.collection), "db", "bridge", lease_seconds=LEASE, clock=clock
        )

    def elapse(self, polls: int) -> None:
        for _ in range(polls):
            for host in self.hosts:
                host.clock.advance(POLL)
            for host in self.hosts:
                if host.works:
                    self._poll(host)

    def save(self, number: int, saves: int) -> None:
        host = self.hosts[number]
        for _ in range(saves):
            if host.works and host.owner:
                self._save(host, host.position + 1)

    def save_late(self, number: int, age: int) -> None:
        """A save of before arrives now."""
        host = self.hosts[number]
        if host.owner and host.sequence > age:
            late = checkpoint(max(0, host.position - age), sequence=host.sequence - age)
            self._as_owner(host, lambda: host.store.save(late))

    def freeze(self, number: int) -> None:
        self.hosts[number].frozen = True
        self.hosts[number].healthy = False
        self._forget_if_lost()

    def thaw(self, number: int) -> None:
        self.hosts[number].frozen = False

    def kill(self, number: int) -> None:
        self._end(self.hosts[number])
        self._forget_if_lost()

    def stop(self, number: int) -> None:
        host = self.hosts[number]
        if host.works:
            self._as_owner(host, host.store.release)
            self._end(host)
            self._forget_if_lost()

    def start(self, number: int) -> None:
        host = self.hosts[number]
        if not host.running:
            self.hosts[number] = Host(self._store(host.clock), host.clock)

    def vanish(self) -> None:
        self.collection.documents.clear()
        self._forget_if_lost()

    def check_position(self) -> None:
        document = self._document()
        if document is not None and self.stored.position is not None and "token" in document:
            assert document["token"] >= at(self.stored.position).token

    def end(self) -> None:
        """In the end a bridge works, unless the position is lost for good."""
        for number, host in enumerate(self.hosts):
            host.frozen = False
            self.start(number)
        self.elapse(PATIENCE)
        if self._document() is not None or not self.published:
            assert sum(host.owner and host.running for host in self.hosts) == 1

    def _document(self) -> dict[str, Any] | None:
        document = self.collection.find_one({"_id": "bridge"})
        return document if document and "token" in document else None

    def _poll(self, host: Host) -> None:
        host.polls += 1
        if not host.owner:
            if not host.store.acquire():
                self._start(host)
        elif host.polls % RENEW_POLLS == 0:
            self._as_owner(host, host.store.renew)

    def _start(self, host: Host) -> None:
        stored = host.store.load()
        if stored is None and self.published:
            host.store.release()  # exit 83
            self._end(host)
            return
        host.owner = host.healthy = True
        if stored is None:
            self._save(host, 0)
            return
        host.position = stored.position.cluster_time.seconds - at(0).cluster_time.seconds
        host.sequence = stored.sequence
        assert self.stored.position is None or host.position >= self.stored.position

    def _save(self, host: Host, position: int) -> None:
        host.sequence += 1
        save = checkpoint(position, sequence=host.sequence)
        if not self._as_owner(host, lambda: host.store.save(save)):
            return
        host.position = position
        stored = self.stored
        assert stored.position is None or position >= stored.position
        assert host.store.epoch >= stored.epoch, "a former owner saved"
        assert stored.owners.setdefault(host.store.epoch, host.store) is host.store
        self.stored = Acknowledged(position, host.store.epoch, stored.owners)
        self.published = True

    def _as_owner(self, host: Host, act: Any) -> bool:
        """Call the store; return whether it answered."""
        try:
            act()
        except Fenced:
            assert not host.healthy, "a healthy owner was replaced"
            self._end(host)
            return False
        except Retryable:
            assert not host.healthy
            return False
        return True

    @staticmethod
    def _end(host: Host) -> None:
        host.running = host.owner = False

    def _forget_if_lost(self) -> None:
        """Note that no healthy owner can restore a document that is missing."""
        healthy = any(host.owner and host.works and host.healthy for host in self.hosts)
        if self._document() is None and not healthy:
            self.stored = Acknowledged()


def steps_of(schedule: LeaseSchedule, random: Random) -> Iterator[Callable[[], None]]:
    """Yield some steps; time passes and positions are stored more often than anything fails."""
    for _ in range(STEPS):
        number = random.randrange(2)
        yield random.choice(
            [
                *[partial(schedule.elapse, random.randint(1, 12))] * 4,
                *[partial(schedule.save, number, random.randint(1, 3))] * 3,
                partial(schedule.save_late, number, random.randrange(4)),
                partial(schedule.freeze, number),
                *[partial(schedule.thaw, number)] * 2,
                partial(schedule.kill, number),
                partial(schedule.stop, number),
                *[partial(schedule.start, number)] * 3,
                partial(schedule.vanish),
            ]
        )


@pytest.mark.parametrize("first", range(0, SCHEDULES, 50))
def test_no_schedule_moves_the_position_back(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of other hosts count as alive."""
    monkeypatch.setattr("bridge.mongo.checkpoint_document.is_dead", lambda _: False)
    for seed in range(first, first + 50):
        schedule = LeaseSchedule()
        log: list[str] = []
        try:
            for step in steps_of(schedule, Random(seed)):
                log.append(str(step))
                step()
                schedule.check_position()
            schedule.end()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\n" + "\n".join(log)) from error
