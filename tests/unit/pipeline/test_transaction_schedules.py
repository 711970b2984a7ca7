"""Exactly-once: any schedule of commits, failures, kills and restarts makes each message visible.

Once each, in the order of its job, and the stored position always belongs to what is visible.
"""

from __future__ import annotations

import json
from collections import defaultdict

from hypothesis import event, given, settings
from hypothesis import strategies as st

from bridge.delivery.exactly_once import ExactlyOnceSink
from bridge.errors import PoisonEvent, Retryable
from bridge.model.policy import CheckpointPolicy
from bridge.pipeline.ports import Sink
from bridge.pipeline.progress import Progress
from tests.support.factories import checkpoint, job
from tests.support.fake_transactions import FakeTransactionalSink, FakeTransactions
from tests.support.fakes import InlineExecutor
from tests.support.in_memory_bridge import RENEW_SECONDS
from tests.support.planned_bridge import EVENTS, KilledProcess, Plan, PlannedBridge

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("acknowledge"), st.integers(1, 3)),
        st.tuples(
            st.sampled_from(
                [
                    "done",
                    "done",
                    "lost",
                    "failed",
                    "grow",
                    "grow",
                    "wait",
                    "sink",
                    "stream",
                    "store",
                    "poison",
                    "kill-completed",
                    "kill-aborted",
                ]
            ),
            st.just(1),
        ),
    ),
    max_size=40,
)


class TransactionalBridge(PlannedBridge):
    """A bridge in exactly-once; ``plan`` is what happens in MongoDB, an event at a time."""

    def __init__(self, plan: Plan, messages: int, batch: int) -> None:
        self.executor = InlineExecutor()
        super().__init__(plan, messages, batch)

    def start_process(self) -> None:
        super().start_process()
        self.restart()

    def restart(self) -> None:
        """Become the owner, read the position, and start a session, as after any failure."""
        self.transactions = FakeTransactions(self.shelf, self.broker)
        self.store = self.transactions
        self.shelf.owner = None
        assert self.store.acquire() == ""
        self.progress = Progress(
            self.store,
            self.store.load() or checkpoint(0),
            CheckpointPolicy(transactional=True),
            renew_seconds=RENEW_SECONDS,
            context=self.context,
            executor=self.executor,
        )
        self.new_session()

    def make_sink(self) -> FakeTransactionalSink:
        # The session that the base class starts first is replaced before it works.
        transactions = getattr(self, "transactions", None)
        return FakeTransactionalSink(
            self.broker, transactions or FakeTransactions(self.shelf, self.broker)
        )

    def _omit_present(self, sink: Sink) -> Sink:
        if not hasattr(self, "transactions"):
            return sink
        wrapped = ExactlyOnceSink(
            sink, self.transactions, self.progress, clock=self.clock, counters=self.counters
        )
        return super()._omit_present(wrapped)

    def step(self, name: str, count: int) -> None:
        match name:
            case "acknowledge":
                self.sink.acknowledge(count)
            case "done" | "lost" | "failed":
                self.transactions.answer(name)
            case "grow":
                self.grow()
            case "wait":
                self.clock.advance(11.0)
            case "kill-completed" | "kill-aborted":
                raise KilledProcess
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
            self.transactions.take_over(completes=name == "kill-completed")
            self.start_process()
        except (Retryable, PoisonEvent) as error:
            event("another session")
            self.loop.drain(1.0)
            self.transactions.answer("lost")
            self.transactions.take_over(completes=False)
            if isinstance(error, PoisonEvent):
                self.start_process()
            else:
                self.progress.abandon()
                self.restart()

    def finish(self) -> None:
        """Start once more, and work without failures until the end of the log."""
        self.transactions.take_over(completes=True)
        self.start_process()
        while self.plan:
            self.grow()
        for _ in range(400):
            self.live("acknowledge", 100)
            self.live("done", 1)
            if self.position == self.log.position and not self.window:
                break
        self.progress.save()

    def visible(self) -> dict[str, list[str]]:
        """Return the transitions of each job, as a consumer reads them."""
        found = defaultdict(list)
        for value in self.values():
            read = json.loads(value)
            found[read["job_id"]].append(read["trans_id"])
        return found


@settings(max_examples=250)
@given(EVENTS, STEPS, st.integers(1, 6), st.integers(1, 4))
def test_no_schedule_shows_a_transition_twice(
    plan: Plan, steps: list[tuple[str, int]], messages: int, batch: int
) -> None:
    bridge = TransactionalBridge(plan, messages, batch)
    for name, count in steps:
        bridge.live(name, count)
    bridge.finish()

    expected = {
        job(number): [f"{job(number)}/{index}" for index in range(grown)]
        for number, grown in bridge.grown.items()
    }
    assert bridge.visible() == expected
    assert bridge.position == bridge.stored.position == bridge.log.position
    assert bridge.stored.clean
    assert bridge.counters.possible_duplicates == 0


def test_a_transaction_fills_while_another_is_committed() -> None:
    bridge = TransactionalBridge([(0,), (1,), (2,)], messages=10, batch=1)
    bridge.grow()
    bridge.live("acknowledge", 1)
    bridge.turn()
    assert bridge.transactions.committing
    for _ in range(2):
        bridge.live("grow", 1)
    bridge.turn(3)

    bridge.live("done", 1)
    for name in ("acknowledge", "acknowledge", "done"):
        bridge.live(name, 2)
    bridge.turn()

    assert bridge.transactions.commits == [1, 2]
    assert bridge.position == bridge.stored.position == bridge.log.position


def test_an_idle_position_waits_for_the_transaction() -> None:
    bridge = TransactionalBridge(["skipped", (0,)], messages=10, batch=1)
    bridge.grow()
    bridge.turn()
    bridge.grow()
    bridge.turn(2)
    assert bridge.stored.position < bridge.position < bridge.log.position
    saves = len(bridge.shelf.saves)

    bridge.live("wait", 1)
    bridge.turn(2)
    assert len(bridge.shelf.saves) == saves
    bridge.live("acknowledge", 1)
    bridge.turn()
    bridge.live("done", 1)
    bridge.turn()

    assert bridge.position == bridge.stored.position == bridge.log.position


def test_a_drain_waits_for_an_idle_position() -> None:
    """Leaving the sink would abort its transaction, and the stop would not be clean."""
    bridge = TransactionalBridge(["skipped"], messages=10, batch=1)
    bridge.grow()
    bridge.turn()
    bridge.executor.later = True
    bridge.live("wait", 1)
    bridge.turn()
    assert not bridge.window and bridge.progress.saving
    bridge.wake.meanwhile = bridge.executor.catch_up

    bridge.loop.drain(20.0)

    assert not bridge.progress.saving
    assert bridge.stored.position == bridge.log.position
