"""The sink of exactly-once: which messages a transaction has."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bridge.delivery.exactly_once import ExactlyOnceSink
from bridge.model.message import Message
from bridge.model.policy import CheckpointPolicy
from bridge.model.window import Delivery, Sending
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.progress import Progress
from bridge.pipeline.pulse import Pulse
from tests.support.factories import at, checkpoint
from tests.support.fake_kafka import FakeBroker
from tests.support.fake_store import SharedCheckpoint
from tests.support.fake_transactions import FakeTransactionalSink, FakeTransactions
from tests.support.fakes import FakeClock, InlineExecutor

MIB = 2**20


class GroupCommitScenario:
    def __init__(self) -> None:
        clock = FakeClock()
        broker = FakeBroker("jobs", "jobs-dlq")
        self.store = FakeTransactions(SharedCheckpoint(clock), broker)
        assert self.store.acquire() == ""
        context = PipelineContext(Pulse(clock))
        progress = Progress(
            self.store,
            checkpoint(0),
            CheckpointPolicy(transactional=True),
            renew_seconds=3.0,
            context=context,
            executor=InlineExecutor(),
        )
        self.driver = FakeTransactionalSink(broker, self.store)
        self.sink = ExactlyOnceSink(
            self.driver, self.store, progress, clock=clock, counters=context.counters
        )

    def commit_all(self) -> list[int]:
        """Commit until nothing is in flight; return how many messages each transaction had."""
        for _ in range(100):
            self.driver.acknowledge()
            self.sink.settled()
            self.store.answer("done")
        return self.store.commits


def sendings(*events: Sequence[int]) -> list[Sending]:
    """Return messages of these sizes in bytes, by event."""
    return [
        (
            Message("jobs", b"job", b"%d" % number, []),
            Delivery(at(number) if index == len(sizes) - 1 else None, size),
        )
        for number, sizes in enumerate(events, 1)
        for index, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("events", "transactions"),
    [
        ([[MIB]] * 4, [4]),
        ([[MIB]] * 9, [4, 4, 1]),
        # An event is not divided.
        ([[MIB], [2 * MIB, 2 * MIB, 2 * MIB], [MIB]], [4, 1]),
        ([[9 * MIB], [MIB]], [1, 1]),
    ],
)
def test_a_transaction_is_small_enough(events: list[list[int]], transactions: list[int]) -> None:
    scenario = GroupCommitScenario()

    scenario.sink.send(sendings(*events))

    assert scenario.commit_all() == transactions
