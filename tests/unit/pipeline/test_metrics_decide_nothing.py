"""Metrics decide nothing: with counters that count nothing, a bridge behaves the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bridge.delivery.context import ModeContext
from bridge.delivery.fire_and_forget import FireAndForgetSink, Losses
from bridge.delivery.sweeping_stream import NoStream, SweepingStream
from bridge.delivery.untagging_sink import InFlight
from bridge.errors import BridgeError, PoisonEvent, Retryable
from bridge.model.message import Message
from bridge.model.position import Position
from bridge.model.transition import RECOVERY, Event, Poison
from bridge.model.window import Window
from bridge.observability.counters import Counters
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from tests.support.deaf_counters import DeafCounters
from tests.support.factories import at, delivery, message, transition
from tests.support.fake_tags import FakeTags, FixedPace
from tests.support.fakes import FakeBroker, FakeClock, FakeSink
from tests.support.in_memory_bridge import InMemoryBridge
from tests.support.slow_readers import PolledReaders

POISON = Poison("the time is missing", "job-1", "created", "", "t-1", 0)
DEAD_LETTERS = 3


@dataclass
class Behaviour:
    """Everything that a bridge did, apart from its metrics."""

    delivered: list[Message]
    dead_letters: list[Message]
    stored: list[Position]
    position: Position
    unacknowledged: int
    #: How each step of the scenario ended.
    verdicts: list[str]
    seconds: float
    sessions: int


Scenario = Callable[[InMemoryBridge, list[str]], None]


def attempt(bridge: InMemoryBridge, verdicts: list[str], *steps: Callable[[], object]) -> None:
    """Turn the loop, note how that ended, and do what the bridge does after a failure."""
    try:
        bridge.run(*steps)
        verdicts.append("ok")
    except BridgeError as error:
        verdicts.append(str(error))
        bridge.loop.drain(5.0)
        bridge.new_session()


def plain(bridge: InMemoryBridge, verdicts: list[str]) -> None:
    """Work without failures, with a checkpoint each second and idle positions in between."""
    for _ in range(6):
        bridge.log.append()
        bridge.log.append(skipped="delete")
        bridge.log.pass_by()
        acknowledge = bridge.sink.acknowledge
        attempt(bridge, verdicts, acknowledge, lambda: bridge.clock.advance(0.6), acknowledge)


def failures(bridge: InMemoryBridge, verdicts: list[str]) -> None:
    """Fail the sink, the store and the stream; messages are sent again."""
    for _ in range(8):
        bridge.log.append()
    attempt(bridge, verdicts, lambda: None, lambda: bridge.sink.acknowledge(1))
    bridge.sink.write(2)  # The acknowledgements are lost.
    bridge.sink.fail(Retryable("the broker is unreachable"))
    attempt(bridge, verdicts, lambda: None, lambda: None)
    attempt(bridge, verdicts, lambda: None, bridge.sink.acknowledge)
    bridge.clock.advance(2.0)
    bridge.store.failure = Retryable("the store is unreachable")
    attempt(bridge, verdicts, lambda: None)
    bridge.log.end()
    attempt(bridge, verdicts, *[lambda: bridge.sink.acknowledge()] * 9)


def dead_letters(bridge: InMemoryBridge, verdicts: list[str]) -> None:
    """Send dead letters until the brake stops the bridge."""
    for _ in range(DEAD_LETTERS + 1):
        bridge.log.append(POISON)
        attempt(bridge, verdicts, bridge.sink.acknowledge, lambda: None)
    bridge.log.append(transition(1))
    attempt(bridge, verdicts, lambda: None)


def repeated_dead_letters(bridge: InMemoryBridge, verdicts: list[str]) -> None:
    """Send the same dead letters again after failures: the brake counts each once."""
    for _ in range(DEAD_LETTERS):
        bridge.log.append(POISON)
    for _ in range(4):
        bridge.sink.fail(Retryable("the broker is unreachable"))
        attempt(bridge, verdicts, lambda: None, lambda: None, lambda: None)
    attempt(bridge, verdicts, *[lambda: bridge.sink.acknowledge()] * 4)
    bridge.log.append(POISON)
    attempt(bridge, verdicts, *[lambda: bridge.sink.acknowledge()] * 4)


def restarts(bridge: InMemoryBridge, verdicts: list[str]) -> None:
    """Start another process: it sends again what was settled since the last checkpoint."""
    for _ in range(5):
        bridge.log.append()
        attempt(bridge, verdicts, lambda: bridge.sink.acknowledge(), lambda: None)
        bridge.clock.advance(0.4)
        bridge.start_process()
    attempt(bridge, verdicts, *[lambda: bridge.sink.acknowledge()] * 6)
    bridge.progress.save()


def oversize(bridge: InMemoryBridge, verdicts: list[str]) -> None:
    """Dead-letter a message that the topic does not accept."""
    bridge.log.append(transition(0, "j" * 600))
    bridge.log.append(transition(1))
    attempt(bridge, verdicts, lambda: None, lambda: bridge.sink.acknowledge(), lambda: None)


SCENARIOS: tuple[Scenario, ...] = (
    plain,
    failures,
    dead_letters,
    repeated_dead_letters,
    restarts,
    oversize,
)


def behaviour(scenario: Scenario, counters: Callable[[], Counters]) -> Behaviour:
    bridge = InMemoryBridge(dead_letters=DEAD_LETTERS, max_bytes=500, counters=counters)
    verdicts: list[str] = []
    scenario(bridge, verdicts)
    bridge.loop.drain(1.0)
    return Behaviour(
        bridge.delivered(),
        bridge.delivered("jobs-dlq"),
        [save.position for save in bridge.shelf.saves],
        bridge.position,
        bridge.progress.unacknowledged,
        verdicts,
        bridge.clock.monotonic(),
        bridge.sessions,
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_bridge_without_counts_behaves_the_same(scenario: Scenario) -> None:
    assert behaviour(scenario, DeafCounters) == behaviour(scenario, Counters)


def test_the_scenarios_do_what_they_are_for() -> None:
    """Else the comparison would prove nothing."""
    behaviours = {scenario.__name__: behaviour(scenario, Counters) for scenario in SCENARIOS}

    assert len(behaviours["plain"].stored) > 3
    assert {verdict.partition(".")[0] for verdict in behaviours["failures"].verdicts} == {
        "ok",
        "the broker is unreachable",
        "the store is unreachable",
        "the stream ended",
    }
    assert behaviours["failures"].sessions > 3
    for name in ("dead_letters", "repeated_dead_letters"):
        assert any("Too many dead letters" in verdict for verdict in behaviours[name].verdicts)
        assert len(behaviours[name].dead_letters) >= DEAD_LETTERS
    assert behaviours["restarts"].sessions > 3
    assert len(behaviours["oversize"].dead_letters) == 1


def recovered(counters: Counters) -> list[object]:
    """Dead-letter jobs of a recovery that share a position, until the brake stops the bridge."""
    bridge = InMemoryBridge(dead_letters=DEAD_LETTERS, counters=lambda: counters)
    verdicts: list[object] = []
    for _ in range(DEAD_LETTERS + 1):
        try:
            bridge.publisher.publish(deque([Event(at(1), (POISON,), origin=RECOVERY)]))
        except PoisonEvent as error:
            verdicts.append(str(error))
    return [*verdicts, bridge.sink.sent]


def fire_and_forget(counters: Counters) -> list[object]:
    """Send more messages than the window of fire-and-forget has room for."""
    broker = FakeBroker("jobs")
    kafka = FakeSink(broker)
    context = PipelineContext(Pulse(FakeClock()), counters)
    sink = FireAndForgetSink(kafka, Window(at(0), 2, 10**9), context, losses=Losses())
    sink.send([(message("job-0", b"%d" % number), delivery(number)) for number in range(1, 5)])
    settled = [settled.position for settled in sink.settled()]
    kafka.acknowledge()
    return [settled, [sent.value for sent in broker.messages("jobs")]]


def sweep(counters: Counters) -> list[object]:
    """Sweep the same tags three times."""
    clock = FakeClock()
    context = PipelineContext(Pulse(clock), counters)
    mode_context = ModeContext(
        at(0), Window(at(0), 9, 999), context, PolledReaders(), streams=False
    )
    tags = FakeTags(transition(0), transition(1))
    stream = SweepingStream(NoStream(), tags, InFlight(), pace=FixedPace(), context=mode_context)
    batches: list[object] = []
    for _ in range(5):
        batches.append(stream.read())
        clock.advance(FixedPace.every_seconds / 2)
    return batches


@pytest.mark.parametrize("part", [recovered, fire_and_forget, sweep])
def test_a_part_without_counts_behaves_the_same(part: Callable[[Counters], list[object]]) -> None:
    counters = Counters()

    assert part(DeafCounters()) == part(counters)
    assert counters.dead_lettered + counters.lost + counters.swept > 0


def test_deaf_counters_read_zero() -> None:
    """The stand-in must not remember anything, whichever count it is."""
    deaf = DeafCounters()
    for name, value in vars(Counters()).items():
        if isinstance(value, int | float):
            setattr(deaf, name, 5)
            assert getattr(deaf, name) == 0
    deaf.skip("delete")
    deaf.restarts["kafka"] += 1
    deaf.acknowledge([1.0], 2.0)
    deaf.transaction(3, 0.1)

    assert not deaf.skipped
    assert not deaf.restarts
    assert deaf.acked == 0
