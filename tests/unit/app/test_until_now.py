"""``run --until now``: delivers everything up to the start, then ends."""

from __future__ import annotations

import pytest

from bridge.app.lifecycle import State
from bridge.app.outcome import Outcome
from bridge.errors import Fenced, ResumePointLost, Retryable
from tests.support.bridge_on_fakes import BridgeOnFakes
from tests.support.factories import at
from tests.support.fakes import FakeStore


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> BridgeOnFakes:
    """A bridge that ends by itself, with a checkpoint of an earlier run."""
    world = BridgeOnFakes(monkeypatch, until_now=True)
    world.store_checkpoint()
    return world


def never() -> None:
    raise AssertionError("the bridge did not end by itself")


#: The loop waits once more after it has requested the stop; the wait ends at once.
LAST = (lambda: None, never)


def test_a_backlog_is_delivered_then_it_ends(
    ending: BridgeOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    """The position is stored, and the checkpoint given back."""
    for _ in range(3):
        ending.log.append()

    with caplog.at_level("INFO", "bridge"):
        outcome = ending.run(ending.log.pass_by, lambda: None, ending.acknowledge, never)

    assert outcome == Outcome()
    assert ending.trans_ids() == ["job-0/1", "job-0/2", "job-0/3"]
    assert ending.shelf.saves[-1].position == at(4)
    assert ending.shelf.saves[-1].clean
    assert ending.shelf.owner is None
    assert ending.moves == [State.STARTING, State.RUNNING, State.DRAINING, State.STOPPED]
    assert any("the position reached" in text for text in caplog.messages)


def test_an_idle_collection_ends_too(ending: BridgeOnFakes) -> None:
    """Nothing was written for it: its position passes the start with MongoDB's no-op."""
    waits: list[int] = []

    outcome = ending.run(*[lambda: waits.append(1)] * 5, ending.log.pass_by, *LAST)

    assert outcome == Outcome()
    assert len(waits) == 5


def test_an_event_at_the_start_is_awaited(ending: BridgeOnFakes) -> None:
    """A transaction may have later events of the same cluster time."""
    ending.log.append()
    turns: list[int] = []

    ending.run(ending.acknowledge, *[lambda: turns.append(1)] * 3, ending.log.pass_by, *LAST)

    assert len(turns) == 3


def test_later_events_do_not_move_the_end(ending: BridgeOnFakes) -> None:
    """A collection that is never idle has an end too; messages in flight are settled."""
    ending.log.append()

    def write_and_acknowledge() -> None:
        ending.log.append()
        ending.acknowledge()

    outcome = ending.run(*[write_and_acknowledge] * 5)

    assert outcome == Outcome()
    assert len(ending.steps) > 0
    assert len(ending.trans_ids()) < 5


def test_a_new_session_keeps_the_end(
    ending: BridgeOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    """It works while Kafka fails, although each session finds later writes."""
    ending.log.append()

    def fail() -> None:
        ending.log.append()
        ending.kafka.producer.fail(Retryable("the broker is unreachable", part="kafka"))

    with caplog.at_level("INFO", "bridge"):
        outcome = ending.run(fail, ending.acknowledge, *LAST)

    assert outcome == Outcome()
    assert ending.bridge.counters.restarts["kafka"] == 1
    start = at(1).cluster_time.isoformat()
    assert [text for text in caplog.messages if start in text] == [
        f"delivers everything up to {start}, then ends",
        f"the position reached {start}: ending",
    ]


def test_a_gap_is_recovered_before_the_end(ending: BridgeOnFakes) -> None:
    ending.log.append()
    ending.source.failures = [ResumePointLost("the oplog no longer reaches back")]

    outcome = ending.run(*[lambda: None] * 20)

    assert outcome == Outcome()
    assert len(ending.steps) > 0
    assert State.RECOVERING in ending.moves
    assert ending.shelf.saves[-1].gap is None
    assert ending.source.history.cursors == [""]


def test_another_owner_ends_it_at_once(ending: BridgeOnFakes) -> None:
    owner = FakeStore(ending.shelf)
    owner.acquire()
    ending.log.append()

    with pytest.raises(Fenced, match=r"Another bridge owns .* the owner delivers") as raised:
        ending.run(never)

    assert raised.value.exit_code == 76
    assert State.STANDBY not in ending.moves
    assert ending.shelf.owner is owner
    assert ending.trans_ids() == []


def test_without_the_option_it_goes_on(world: BridgeOnFakes) -> None:
    world.log.append()

    world.run(world.acknowledge, world.log.pass_by, *[lambda: None] * 5)

    assert world.steps == []
