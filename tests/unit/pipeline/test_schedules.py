"""Any schedule of acknowledgements, failures, kills and restarts: nothing lost, order kept, position behind."""

from __future__ import annotations

import json
from collections import defaultdict

from hypothesis import event, given, settings
from hypothesis import strategies as st

from bridge.errors import PoisonEvent, Retryable
from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Message
from bridge.model.transition import Transition
from tests.support.factories import job, transition
from tests.support.fakes import FakeSink
from tests.support.in_memory_bridge import Rig


class Killed(BaseException):
    """As SIGKILL: nothing that runs afterwards may matter."""


EVENTS = st.lists(
    st.one_of(
        st.lists(st.integers(0, 3), min_size=1, max_size=3).map(
            tuple
        ),  # one event with transitions of these jobs
        st.sampled_from(["skipped", "idle"]),
    ),
    max_size=14,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("acknowledge"), st.integers(1, 3)),
        st.tuples(st.just("write"), st.integers(1, 3)),
        st.tuples(
            st.sampled_from(
                ["grow", "wait", "kill", "kill-saving", "sink", "stream", "store", "poison"]
            ),
            st.just(1),
        ),
    ),
    max_size=40,
)


class World(Rig):
    """A rig that judges each save, and whose events come one by one."""

    def __init__(self, plan: list[tuple[int, ...] | str], messages: int, batch: int) -> None:
        self._plan = list(plan)
        self._grown: dict[int, int] = defaultdict(int)
        self._kill_saving = False
        super().__init__(messages=messages, batch=batch)

    def grow(self) -> None:
        if not self._plan:
            return
        kind = self._plan.pop(0)
        if kind == "idle":
            self.log.pass_by()
        elif isinstance(kind, str):
            self.log.append(skipped=kind)
        else:
            self.log.append(*map(self._next, kind))

    def _next(self, number: int) -> Transition:
        self._grown[number] += 1
        return transition(self._grown[number] - 1, job(number))

    def begin(self) -> None:
        super().begin()
        self.store.before_save = self._judge
        self._kill_saving = False

    def again(self) -> None:
        super().again()
        self.acknowledged: set[bytes] = getattr(self, "acknowledged", set())
        self.sink = _Noting(self.broker, self.acknowledged)
        self.loop._sink = self.publisher._sink = self.sink

    def _judge(self, checkpoint: Checkpoint) -> None:
        """What is stored must never be ahead of what the broker acknowledged, nor behind what was stored."""
        assert self.shelf.record is None or checkpoint.position >= self.stored.position
        for one in self.log.events:
            if one.position <= checkpoint.position:
                for item in one.items:
                    assert isinstance(item, Transition)
                    assert item.trans_id.encode() in self.acknowledged
        if self._kill_saving:
            raise Killed

    def step(self, name: str, count: int) -> None:
        match name:
            case "acknowledge":
                self.sink.acknowledge(count)
            case "write":
                self.sink.write(count)
            case "grow":
                self.grow()
            case "wait":
                self.clock.advance(1.0)
            case "kill":
                raise Killed
            case "kill-saving":
                self._kill_saving = True
            case "sink":
                self.sink.fail(Retryable("the broker is away"))
            case "poison":
                raise PoisonEvent("the process ends")
            case "stream":
                raise Retryable("the stream ended")
            case "store":
                self.store.failure = Retryable("the store is away")

    def live(self, name: str, count: int) -> None:
        """One turn, and what the service does when it ends badly."""
        try:
            self.run(lambda: self.step(name, count))
        except Killed:
            event("killed")
            self.begin()
        except PoisonEvent:
            self.begin()
        except Retryable:
            event("again")
            self.loop.drain(1.0)
            self.again()

    def finish(self) -> None:
        """One more start, and well for as long as it takes."""
        self.begin()
        while self._plan:
            self.grow()
        for _ in range(400):
            self.live("acknowledge", 100)
            if self.position == self.log.position and not self.window:
                break
        self.progress.save()


class _Noting(FakeSink):
    """A sink that tells which transitions the loop has heard to be acknowledged."""

    def __init__(self, broker: object, acknowledged: set[bytes]) -> None:
        super().__init__(broker)  # type: ignore[arg-type]
        self._acknowledged = acknowledged

    def acknowledge(self, most: int = 1_000_000) -> None:
        before = {id(one) for one in self._messages()}
        super().acknowledge(most)
        self._acknowledged.update(
            trans_id(one) for one in self._messages() if id(one) not in before
        )

    def _messages(self) -> list[Message]:
        return self._broker.messages("jobs")


def trans_id(message: Message) -> bytes:
    return str(json.loads(message.value)["trans_id"]).encode()


@settings(max_examples=250)
@given(EVENTS, STEPS, st.integers(1, 6), st.integers(1, 4))
def test_no_schedule_loses_anything_or_changes_the_order_of_a_job(
    plan: list[tuple[int, ...] | str], steps: list[tuple[str, int]], messages: int, batch: int
) -> None:
    world = World(plan, messages, batch)
    for name, count in steps:
        world.live(name, count)
    world.finish()

    first_arrivals = defaultdict(list)
    for one in dict.fromkeys(world.values()):
        read = json.loads(one)
        first_arrivals[read["job_id"]].append(read["trans_id"])
    assert set(world.values()) == set(world.expected())
    for number, grown in world._grown.items():
        assert first_arrivals[job(number)] == [f"{job(number)}/{n}" for n in range(grown)]
    assert world.position == world.stored.position == world.log.position


@settings(max_examples=60)
@given(EVENTS, st.integers(1, 6), st.integers(1, 4))
def test_without_a_failure_nothing_is_repeated(
    plan: list[tuple[int, ...] | str], messages: int, batch: int
) -> None:
    world = World(plan, messages, batch)

    world.finish()

    assert sorted(world.values()) == sorted(world.expected())
    assert world.counters.possible_duplicates == 0
