"""A pause: nothing is read or sent, and the checkpoint stays owned."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.app.lifecycle import State
from bridge.app.outcome import Outcome
from bridge.app.pause import REMINDER_SECONDS
from bridge.errors import Fenced, NotPermitted, ResumePointLost, Retryable
from bridge.pipeline.pulse import PULSE_SECONDS
from tests.support.bridge_on_fakes import BridgeOnFakes
from tests.support.factories import at
from tests.support.fakes import FakeStore

#: More turns of a pause than the lease lasts.
LONG = 100


def during_pause(world: BridgeOnFakes, *steps: Callable[[], object], turns: int = 1) -> None:
    """Let ``steps`` happen at the turns of the first pause; it ends after the last of ``turns``."""
    left: list[Callable[[], object]] = [*steps, *[lambda: None] * (turns - len(steps))]

    def turn() -> None:
        if world.bridge.state is State.PAUSED:
            if left:
                left.pop(0)()
            if not left:
                world.bridge.pause.end()

    world.stop.meanwhile = turn


def pause(world: BridgeOnFakes) -> None:
    world.bridge.pause.start()


def test_a_pause_settles_and_stays_owner(
    world: BridgeOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    """The lease is renewed, the position is stored, and later events wait."""
    world.log.append()
    at_end: list[object] = []

    def look() -> None:
        at_end.extend((world.trans_ids(), world.shelf.owner, world.shelf.saves[-1].position))
        at_end.append((world.source.open_streams, world.kafka.open_producers))

    with caplog.at_level("INFO", "bridge"):
        during_pause(world, world.log.append, *[lambda: None] * LONG, look, turns=LONG + 2)
        outcome = world.run(
            lambda: pause(world), world.acknowledge, lambda: None, world.acknowledge
        )

    trans_ids, owner, saved, still_open = at_end
    assert trans_ids == ["job-0/1"] and owner is world.store and still_open == (0, 0)
    assert saved == at(1)
    assert outcome == Outcome()
    assert world.trans_ids() == ["job-0/1", "job-0/2"]
    assert world.bridge.counters.restarts == {}
    working = [State.STARTING, State.RUNNING, State.DRAINING]
    assert world.moves == [*working, State.PAUSED, *working, State.STOPPED]
    assert "paused since 20" in " ".join(world.reasons)
    assert any("Nothing is read or sent" in text for text in caplog.messages)
    assert f"resuming after a pause of {PULSE_SECONDS * (LONG + 2):.0f} s" in caplog.messages


def test_a_stop_ends_a_pause(world: BridgeOnFakes) -> None:
    world.log.append()
    during_pause(world, world.bridge.request_stop, turns=LONG)

    outcome = world.run(lambda: pause(world), world.acknowledge)

    assert outcome == Outcome()
    assert world.moves[-2:] == [State.PAUSED, State.STOPPED]
    assert world.shelf.owner is None
    assert len(world.source.opened) == 1


def test_a_pause_may_leave_messages_unacknowledged(
    world: BridgeOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka is unreachable: after the deadline of a stop they are given up, and sent again."""
    world.log.append()
    during_pause(world)
    drain = round(world.settings.delivery.drain_seconds / PULSE_SECONDS) + 1

    world.run(lambda: pause(world), *[lambda: None] * drain, lambda: None, world.acknowledge)

    assert "paused with 1 messages that Kafka did not acknowledge" in caplog.text
    assert world.trans_ids() == ["job-0/1"]
    assert len(world.kafka.producers) == 2


def test_a_resume_point_lost_meanwhile_is_recovered(world: BridgeOnFakes) -> None:
    world.log.append()

    def forget() -> None:
        world.source.failures = [ResumePointLost("the oplog no longer reaches back")]

    during_pause(world, forget)

    world.run(lambda: pause(world), world.acknowledge, *[lambda: None] * 10)

    after = world.moves[world.moves.index(State.PAUSED) :]
    assert State.RECOVERING in after
    assert world.bridge.counters.history_lost == 1


def test_an_ownership_lost_meanwhile_ends_it(world: BridgeOnFakes) -> None:
    def lose() -> None:
        world.shelf.owner = FakeStore(world.shelf)

    during_pause(world, lose, turns=LONG)

    with pytest.raises(Fenced):
        world.run(lambda: pause(world))

    assert world.moves[-2:] == [State.PAUSED, State.STOPPED]


def test_a_long_pause_is_logged_repeatedly(
    world: BridgeOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    turns = round(2.5 * REMINDER_SECONDS / PULSE_SECONDS)
    during_pause(world, turns=turns)

    world.run(lambda: pause(world))

    reminders = [text for text in caplog.messages if text.startswith("paused for")]
    assert [text.split(".")[0] for text in reminders] == ["paused for 10 min", "paused for 20 min"]
    assert "the gap is recovered" in reminders[0]


def test_a_pause_uses_up_no_patience(world: BridgeOnFakes) -> None:
    """Permissions that are missing before and after a long pause do not end the bridge."""

    def pause_once() -> None:
        """While the refused session is being opened."""
        world.kafka.before_open = lambda: None
        pause(world)

    def refuse() -> None:
        world.kafka.failures = [NotPermitted("the password is wrong")]
        world.kafka.before_open = pause_once
        world.kafka.producer.fail(Retryable("the broker is unreachable", part="kafka"))

    def refuse_again() -> None:
        world.kafka.failures = [NotPermitted("the password is wrong")]

    during_pause(world, refuse_again, turns=round(2 * REMINDER_SECONDS / PULSE_SECONDS))

    assert world.run(refuse, lambda: None) == Outcome()

    assert State.PAUSED in world.moves


def test_a_short_pause_is_over_at_once(world: BridgeOnFakes) -> None:
    world.log.append()

    def pause_and_resume() -> None:
        pause(world)
        world.bridge.pause.end()

    world.run(world.acknowledge, pause_and_resume, lambda: None)

    assert world.moves[1:3] == [State.RUNNING, State.DRAINING]
    assert world.bridge.counters.restarts == {}


def test_an_unreachable_store_keeps_the_pause(world: BridgeOnFakes) -> None:
    """The position stays in memory and is stored later."""
    world.log.append()

    def acknowledge_and_break() -> None:
        world.acknowledge()
        world.store.failure = Retryable("the store is unreachable")

    during_pause(world, turns=LONG)

    assert world.run(lambda: pause(world), acknowledge_and_break) == Outcome()

    assert State.PAUSED in world.moves
    assert world.shelf.saves[-1].position == at(1)


def test_a_paused_standby_becomes_a_paused_owner(world: BridgeOnFakes) -> None:
    FakeStore(world.shelf).acquire()
    world.log.append()
    pause(world)
    during_pause(world, lambda: None, lambda: None, turns=2)

    world.run(lambda: None, world.acknowledge)

    states = [State.STANDBY, State.STARTING, State.RUNNING, State.DRAINING, State.PAUSED]
    assert world.moves[1:6] == states
    assert world.trans_ids() == ["job-0/1"]
