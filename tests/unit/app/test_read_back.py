"""When a session reads the topic back, and what a start without a checkpoint finds there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bridge.app.outcome import Outcome
from bridge.errors import CheckpointUnusable, NotPermitted, ReadRefused, Unreachable
from bridge.model.message import Message, MessageFormat, Record
from bridge.model.transition import STREAM
from bridge.pipeline.ledger import Ledger
from tests.support.bridge_on_fakes import BridgeOnFakes
from tests.support.factories import BASE, transition
from tests.support.fake_kafka import FakeTailReader

REFUSED = ReadRefused("Kafka does not let this user read the topic", "", "", part="kafka")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[dict[int, int]]:
    """The offsets of each read-back."""
    offsets: list[dict[int, int]] = []
    read_from = FakeTailReader.read_from

    def noted(
        self: FakeTailReader, topic: str, known: Mapping[int, int], since: float | None
    ) -> Iterator[list[Record]]:
        offsets.append(dict(known))
        return read_from(self, topic, known, since)

    monkeypatch.setattr(FakeTailReader, "read_from", noted)
    return offsets


def message_of(source: str = "job-bridge/db.jobs") -> Message:
    return MessageFormat("jobs", source, cloudevents=True).message(transition(7), STREAM)


def killed(monkeypatch: pytest.MonkeyPatch, *, clean: bool, **options: str) -> BridgeOnFakes:
    """A bridge after another process, which sent a message and stored only what was before it."""
    world = BridgeOnFakes(monkeypatch, **options)
    world.store_checkpoint()
    assert world.shelf.record is not None
    world.shelf.record["clean"] = world.shelf.record["sequence"] if clean else None
    world.log.append(transition(7))
    sent = message_of()
    world.kafka.broker.partition_of("jobs", sent.key).append(sent)
    return world


def test_after_a_kill_nothing_is_sent_twice(
    monkeypatch: pytest.MonkeyPatch, reads: list[dict[int, int]]
) -> None:
    world = killed(monkeypatch, clean=False)

    assert world.run(lambda: None, world.acknowledge) == Outcome()

    assert len(world.trans_ids()) == 1
    assert world.bridge.counters.left_out == 1
    assert world.bridge.counters.sent == 0
    assert reads == [{}], "an older checkpoint has no offsets"


def test_after_a_clean_stop_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch, reads: list[dict[int, int]]
) -> None:
    world = killed(monkeypatch, clean=True)

    world.run(lambda: None, world.acknowledge)

    assert reads == []
    assert len(world.trans_ids()) == 2, "no bridge that stopped cleanly has sent it"


@pytest.mark.parametrize("saved", [BASE - 7000, BASE + 7000])
def test_the_earlier_clock_bounds_the_read(monkeypatch: pytest.MonkeyPatch, saved: int) -> None:
    """The cluster time stays hours ahead after a server's clock was ahead."""
    world = killed(monkeypatch, clean=False)
    assert world.shelf.record is not None
    world.shelf.record["saved_at"] = float(saved)
    times: list[float | None] = []

    def noted(_reader: object, _topic: str, _offsets: object, since: float | None) -> Iterator[Any]:
        times.append(since)
        return iter(())

    monkeypatch.setattr(FakeTailReader, "read_from", noted)

    world.run(lambda: None, world.acknowledge)

    assert times == [min(saved, BASE) - 300]


def test_a_failed_read_closes_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    world = killed(monkeypatch, clean=False)
    closed: list[Ledger] = []
    monkeypatch.setattr(Ledger, "close", lambda ledger: closed.append(ledger))
    read_from = FakeTailReader.read_from

    def fail_once(reader: FakeTailReader, *args: Any) -> Iterator[list[Record]]:
        monkeypatch.setattr(FakeTailReader, "read_from", read_from)
        yield from itertools.islice(read_from(reader, *args), 1)
        raise Unreachable("Kafka is unreachable", "", "", part="kafka")

    monkeypatch.setattr(FakeTailReader, "read_from", fail_once)

    world.run(lambda: None)

    assert len(closed) == 2, "the ledgers of both sessions"
    assert closed[0] is not closed[1]


def test_read_back_may_be_off(monkeypatch: pytest.MonkeyPatch, reads: list[dict[int, int]]) -> None:
    world = killed(monkeypatch, clean=False, kafka__read_back="off")

    world.run(lambda: None, world.acknowledge)

    assert reads == []
    assert len(world.trans_ids()) == 2


def test_a_missing_right_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = killed(monkeypatch, clean=False)
    monkeypatch.setattr(FakeTailReader, "read_from", _refuse)

    def fail() -> None:
        world.kafka.producer.fail(REFUSED)

    world.run(fail, lambda: None, world.acknowledge)

    assert len(world.trans_ids()) == 2
    assert len(world.kafka.producers) == 2
    (line,) = [line for line in caplog.messages if "cannot be read back" in line]
    assert "are sent again" in line


def test_a_refused_login_is_no_missing_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password is being replaced: nothing is sent before the topic was read back."""
    world = killed(monkeypatch, clean=False)

    def refuse(*_: object) -> None:
        raise NotPermitted("Kafka refuses this user", "", "", part="kafka")

    monkeypatch.setattr(FakeTailReader, "read_from", refuse)

    with pytest.raises(NotPermitted):
        world.run(lambda: None, world.acknowledge)

    assert len(world.trans_ids()) == 1


def _refuse(*_: object) -> None:
    raise REFUSED


@pytest.mark.parametrize("settled", [True, False])
def test_a_stop_is_clean_when_all_is_settled(
    monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    world = BridgeOnFakes(monkeypatch)
    world.store_checkpoint()
    world.log.append()

    world.run(lambda: None, world.acknowledge if settled else lambda: None, world.log.pass_by)

    stored = world.store.load()
    assert stored is not None
    assert stored.clean is settled


@pytest.mark.parametrize("opens", [False, True])
def test_an_early_stop_is_not_clean(monkeypatch: pytest.MonkeyPatch, opens: bool) -> None:
    """The messages of the killed process are still after the position."""
    world = killed(monkeypatch, clean=False)
    world.source.before_open = world.bridge.request_stop
    if not opens:
        world.kafka.before_open = world.bridge.request_stop
        world.kafka.failures = [Unreachable("Kafka is unreachable", "", "", part="kafka")]

    world.run()

    stored = world.store.load()
    assert stored is not None
    assert not stored.clean


def test_a_running_bridge_is_not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill right after the start must find out that messages may have been sent."""
    world = killed(monkeypatch, clean=True)
    seen: list[bool] = []

    world.run(lambda: seen.append(world.shelf.saves[-1].clean))

    assert seen == [False]


def test_a_settled_session_is_not_read_back(
    monkeypatch: pytest.MonkeyPatch, reads: list[dict[int, int]]
) -> None:
    """After a failure of MongoDB everything is settled, so there is nothing to read."""
    world = BridgeOnFakes(monkeypatch)
    world.store_checkpoint()
    world.log.append()

    def end() -> None:
        world.acknowledge()
        world.log.end()

    world.stop.meanwhile = lambda: setattr(world.log, "failure", None)
    world.run(world.log.append, end, lambda: None)

    assert len(world.source.opened) > 1
    assert len(reads) == 1, "the first session, whose checkpoint was not clean"


@pytest.mark.parametrize("name", ["clear", "other bridge", "start"])
def test_a_first_start_may_be_on_purpose(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The checkpoint was cleared, the messages are of another bridge, or the start is chosen."""
    options = {"start__from": "2023-11-14T22:13:20+00:00"} if name == "start" else {}
    world = BridgeOnFakes(monkeypatch, **options)
    world.log.append(transition(1))
    world.shelf.cleared = name == "clear"
    sent = message_of("job-bridge/other.jobs" if name == "other bridge" else "job-bridge/db.jobs")
    world.kafka.broker.partition_of("jobs", sent.key).append(sent)

    assert world.run(lambda: None, world.acknowledge) == Outcome()


def test_a_start_at_now_needs_an_unused_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    world = BridgeOnFakes(monkeypatch)
    world.log.append(transition(1))
    sent = message_of()
    world.kafka.broker.partition_of("jobs", sent.key).append(sent)

    with pytest.raises(CheckpointUnusable) as refused:
        world.run()

    stored = world.store.load()
    assert stored is not None
    assert stored.unconfirmed, "the next start looks again"

    assert transition(7).time in refused.value.what
    hour_before = "2023-11-14T22:13:20+00:00"
    assert f"'job-bridge token set {hour_before}'" in refused.value.todo
    assert "'job-bridge token clear'" in refused.value.todo
    assert len(world.kafka.broker.messages("jobs")) == 1
