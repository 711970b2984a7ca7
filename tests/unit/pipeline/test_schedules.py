"""Any schedule of acknowledgements, failures, kills and restarts loses and repeats nothing.

The order of each job is kept, and the position is never ahead of the acknowledgements.
"""

from __future__ import annotations

import json
from collections import defaultdict

from hypothesis import event, given, settings
from hypothesis import strategies as st

from bridge.errors import PoisonEvent, Retryable
from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Message
from bridge.model.transition import Transition
from bridge.pipeline.ports import Sink
from tests.support.factories import job
from tests.support.fakes import FakeBroker, FakeSink
from tests.support.planned_bridge import EVENTS, KilledProcess, Plan, PlannedBridge

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


class ScheduledBridge(PlannedBridge):
    """Checks each save, and lets the events of ``plan`` happen step by step."""

    def __init__(self, plan: Plan, messages: int, batch: int) -> None:
        self._kill_saving = False
        self.acknowledged: set[bytes] = set()
        super().__init__(plan, messages, batch)

    def start_process(self) -> None:
        super().start_process()
        self.store.before_save = self._check
        self._kill_saving = False

    def _omit_present(self, sink: Sink) -> Sink:
        # Reading the topic back acknowledges what it has.
        self.acknowledged.update(map(trans_id, self.broker.messages("jobs")))
        return super()._omit_present(sink)

    def make_sink(self) -> FakeSink:
        return RecordingSink(self.broker, self.acknowledged)

    def _check(self, checkpoint: Checkpoint) -> None:
        """Check that a position is not ahead of the acknowledgements, nor before the stored one."""
        assert self.shelf.record is None or checkpoint.position >= self.stored.position
        for logged in self.log.events:
            if logged.position <= checkpoint.position:
                for item in logged.items:
                    assert isinstance(item, Transition)
                    assert item.trans_id.encode() in self.acknowledged
        if self._kill_saving:
            raise KilledProcess

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
                raise KilledProcess
            case "kill-saving":
                self._kill_saving = True
            case "sink":
                self.sink.fail(Retryable("the broker is unreachable"))
            case "poison":
                raise PoisonEvent("the process ends")
            case "stream":
                raise Retryable("the stream ended")
            case "store":
                self.store.failure = Retryable("the store is unreachable")

    def live(self, name: str, count: int) -> None:
        """Turn the loop once, and do what the bridge does after a failure."""
        try:
            self.run(lambda: self.step(name, count))
        except KilledProcess:
            event("killed")
            self.start_process()
        except PoisonEvent:
            self.start_process()
        except Retryable:
            event("another session")
            self.loop.drain(1.0)
            self.new_session()

    def finish(self) -> None:
        """Start once more, and work without failures until the end of the log."""
        self.start_process()
        while self.plan:
            self.grow()
        for _ in range(400):
            self.live("acknowledge", 100)
            if self.position == self.log.position and not self.window:
                break
        self.progress.save()


class RecordingSink(FakeSink):
    """Records the transitions whose acknowledgement was reported."""

    def __init__(self, broker: FakeBroker, acknowledged: set[bytes]) -> None:
        super().__init__(broker)
        self._acknowledged = acknowledged

    def acknowledge(self, max_messages: int = 1_000_000) -> None:
        before = {id(message) for message in self._messages()}
        super().acknowledge(max_messages)
        self._acknowledged.update(
            trans_id(message) for message in self._messages() if id(message) not in before
        )

    def _messages(self) -> list[Message]:
        return self._broker.messages("jobs")


def trans_id(message: Message) -> bytes:
    return str(json.loads(message.value)["trans_id"]).encode()


@settings(max_examples=250)
@given(EVENTS, STEPS, st.integers(1, 6), st.integers(1, 4))
def test_no_schedule_loses_repeats_or_reorders(
    plan: Plan, steps: list[tuple[str, int]], messages: int, batch: int
) -> None:
    bridge = ScheduledBridge(plan, messages, batch)
    for name, count in steps:
        bridge.live(name, count)
    bridge.finish()

    first_arrivals = defaultdict(list)
    for value in dict.fromkeys(bridge.values()):
        read = json.loads(value)
        first_arrivals[read["job_id"]].append(read["trans_id"])
    assert sorted(bridge.values()) == sorted(bridge.expected())
    for number, grown in bridge.grown.items():
        assert first_arrivals[job(number)] == [f"{job(number)}/{n}" for n in range(grown)]
    assert bridge.position == bridge.stored.position == bridge.log.position


@settings(max_examples=60)
@given(EVENTS, st.integers(1, 6), st.integers(1, 4))
def test_without_failures_nothing_is_repeated(plan: Plan, messages: int, batch: int) -> None:
    bridge = ScheduledBridge(plan, messages, batch)

    bridge.finish()

    assert sorted(bridge.values()) == sorted(bridge.expected())
    assert bridge.counters.possible_duplicates == 0
