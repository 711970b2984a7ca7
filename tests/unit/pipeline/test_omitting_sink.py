"""Messages that the topic already has are settled without being sent."""

from __future__ import annotations

import pytest

from bridge.model.message import Message
from bridge.model.position import Position
from bridge.model.window import Delivery, Sending
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ledger import Ledger, digest_of
from bridge.pipeline.omitting_sink import OmittingSink
from bridge.pipeline.pulse import Pulse
from tests.support.factories import at
from tests.support.fake_kafka import FakeBroker, FakeSink
from tests.support.fakes import FakeClock

IDENTITY = ("ce_id", b"t-1")
END = at(100)


def message(
    value: bytes = b"1", key: bytes = b"job", topic: str = "jobs", identity: bytes = b"t-1"
) -> Message:
    return Message(topic, key, value, [("ce_id", identity)])


class OmittingScenario:
    def __init__(
        self, *present: Message, until: Position | None = END, max_in_memory: int = 100
    ) -> None:
        self.broker = FakeBroker("jobs", "jobs-dlq")
        self.driver = FakeSink(self.broker)
        self.context = PipelineContext(Pulse(FakeClock()))
        self.ledger = Ledger(max_in_memory)
        self.ledger.add({digest_of(known.key, known.value, known.headers) for known in present})
        self.sink = OmittingSink(self.driver, self.ledger, self.context, topic="jobs", until=until)

    def send(self, *messages: Message, number: int = 1) -> list[Message]:
        """Send messages and return those that Kafka got."""
        self.context.sent.highest = at(number)
        sendings: list[Sending] = [(sent, Delivery(at(number), 1)) for sent in messages]
        before = self.everything()
        self.sink.send(sendings)
        self.driver.acknowledge()
        settled = [*self.sink.settled(), *self.sink.settled()]
        assert sorted(map(id, settled)) == sorted(id(delivery) for _, delivery in sendings)
        return [sent for sent in self.everything() if sent not in before]

    def everything(self) -> list[Message]:
        return [*self.broker.messages("jobs"), *self.broker.messages("jobs-dlq")]


def test_a_present_message_is_settled_unsent() -> None:
    scenario = OmittingScenario(message())

    assert scenario.send(message(), message(b"2")) == [message(b"2")]

    assert scenario.context.counters.left_out == 1


@pytest.mark.parametrize(
    "other",
    [
        message(value=b"2"),
        message(key=b"other"),
        message(identity=b"t-2"),
        message()._replace(headers=[]),
        # The same bytes, divided otherwise.
        Message("jobs", b"job1", b"", [IDENTITY]),
        Message("jobs", b"job", b"1 t-1", []),
        message(topic="jobs-dlq"),
    ],
)
def test_any_difference_is_sent(other: Message) -> None:
    scenario = OmittingScenario(message())

    assert scenario.send(other) == [other]

    assert scenario.context.counters.left_out == 0


def test_a_job_with_a_hole_is_sent() -> None:
    """Else a compacted topic would end with an old state of the job."""
    scenario = OmittingScenario(message(b"3"), message(b"3", b"other"))

    assert scenario.send(message(b"1"), message(b"3")) == [message(b"1"), message(b"3")]
    assert scenario.send(message(b"3", b"other")) == []


def test_after_the_end_everything_is_sent() -> None:
    scenario = OmittingScenario(message(b"1"), message(b"2"), until=at(5))

    assert scenario.send(message(b"1"), number=6) == [], "its batch may have earlier positions"
    assert scenario.send(message(b"2"), number=7) == [message(b"2")]


def test_a_recovery_omits_its_own_messages() -> None:
    """The stream after it delivers what was written during the recovery."""
    scenario = OmittingScenario(message(b"0"), until=None)
    assert scenario.send(message(b"0"), message(b"1"), message(b"2")) != []

    assert scenario.send(message(b"1"), message(b"2"), message(b"3")) == [message(b"3")]

    scenario.sink.until = at(2)
    scenario.send(message(b"4"), number=3)
    assert scenario.send(message(b"5"), message(b"5")) == [message(b"5")] * 2


def test_a_large_ledger_is_on_disk() -> None:
    present = [message(b"%d" % number, b"%d" % number) for number in range(50)]
    scenario = OmittingScenario(*present, max_in_memory=2)

    assert scenario.ledger._database is not None
    assert scenario.ledger._in_memory == set()
    assert scenario.send(*present) == []
    scenario.sink.close()
    assert scenario.send(present[0]) == [present[0]]


def test_the_last_sent_message_ends_its_event() -> None:
    """Else a transaction would have no position to store."""
    scenario = OmittingScenario(message())
    letter, present = Delivery(None, 1), Delivery(at(1), 1)

    scenario.sink.send([(message(topic="jobs-dlq"), letter), (message(), present)])

    assert letter.position == present.position == at(1)
