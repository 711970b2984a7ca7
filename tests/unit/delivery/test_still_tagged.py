"""Transitions whose tags could not be removed: the next session untags them and sends nothing."""

from __future__ import annotations

import pytest

from bridge.delivery.untagging_sink import InFlight, StillTagged, UntaggingSink
from bridge.errors import NotPermitted, Retryable
from bridge.model.transition import Transition
from bridge.model.window import Delivery
from bridge.pipeline.pulse import Pulse
from tests.support.factories import at, message, transition
from tests.support.fake_tags import FakeTags
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeWake

FIRST, SECOND, THIRD = (transition(number) for number in range(3))
REFUSED = NotPermitted("MongoDB refuses this user")


class UntaggingScenario:
    """Sessions that follow each other, with the same tags and the same broker."""

    def __init__(self, *tagged: Transition) -> None:
        self.clock = FakeClock()
        self.wake = FakeWake(self.clock)
        self.pulse = Pulse(self.clock, wake=self.wake)
        self.broker = FakeBroker("jobs")
        self.tags = FakeTags(*tagged)
        self.still_tagged = StillTagged()
        self.open()

    def open(self) -> None:
        """Open the next session."""
        self.kafka = FakeSink(self.broker)
        self.sink = UntaggingSink(self.kafka, self.tags, InFlight(), still_tagged=self.still_tagged)

    def send(self, *items: Transition) -> list[Delivery]:
        deliveries = [Delivery(at(number), 1, item=item) for number, item in enumerate(items, 1)]
        messages = [message(item.job_id) for item in items]
        self.sink.send([*zip(messages, deliveries, strict=True)])
        return deliveries

    def refuse(self) -> None:
        """Acknowledge everything, and fail at the removal of the tags."""
        self.tags.failure = REFUSED
        self.kafka.acknowledge()
        with pytest.raises(NotPermitted):
            self.sink.settled()

    def reopen(self) -> None:
        """End the session; in the next one, the tags can be removed."""
        self.sink.leave(self.pulse, 20.0)
        self.open()
        self.tags.failure = None

    @property
    def arrived(self) -> int:
        return len([*self.broker.messages("jobs")])


def test_acknowledged_transitions_are_not_sent_again() -> None:
    scenario = UntaggingScenario(FIRST, SECOND)
    scenario.send(FIRST, SECOND)
    scenario.refuse()
    scenario.reopen()

    again = scenario.send(FIRST, SECOND, THIRD)
    settled = [*scenario.sink.settled()]
    scenario.kafka.acknowledge()
    settled += scenario.sink.settled()

    assert scenario.arrived == 3
    assert settled == again
    assert scenario.tags.tagged == []


def test_a_changed_sequence_is_the_same_message() -> None:
    scenario = UntaggingScenario(FIRST)
    scenario.send(FIRST)
    scenario.refuse()
    scenario.reopen()

    scenario.send(FIRST._replace(sequence=7))

    assert scenario.kafka.sent == 0


@pytest.mark.parametrize(
    "changed",
    [
        FIRST._replace(state="other"),
        FIRST._replace(time="later"),
        FIRST._replace(trans_id="other"),
    ],
)
def test_another_message_is_sent(changed: Transition) -> None:
    scenario = UntaggingScenario(FIRST)
    scenario.send(FIRST)
    scenario.refuse()
    scenario.reopen()

    scenario.send(changed)

    assert scenario.kafka.sent == 1


def test_a_transition_is_left_out_once() -> None:
    """A service that tags it again wants it to be sent again."""
    scenario = UntaggingScenario(FIRST)
    scenario.send(FIRST)
    scenario.refuse()
    scenario.reopen()
    scenario.send(FIRST)
    scenario.sink.settled()

    scenario.send(FIRST)

    assert scenario.kafka.sent == 1


def test_messages_in_flight_are_awaited_after_a_failure() -> None:
    scenario = UntaggingScenario(FIRST, SECOND)
    scenario.send(FIRST)
    scenario.refuse()
    scenario.send(SECOND)
    scenario.wake.meanwhile = scenario.kafka.acknowledge
    scenario.reopen()

    scenario.send(FIRST, SECOND)

    assert scenario.kafka.sent == 0
    assert scenario.arrived == 2


def test_the_wait_for_messages_in_flight_is_bounded() -> None:
    scenario = UntaggingScenario(FIRST, SECOND)
    scenario.send(FIRST)
    scenario.refuse()
    scenario.send(SECOND)
    before = scenario.clock.monotonic()

    scenario.reopen()

    assert 20.0 <= scenario.clock.monotonic() - before < 21.0
    scenario.send(FIRST, SECOND)
    assert scenario.kafka.sent == 1


def test_nothing_is_awaited_without_a_failure() -> None:
    scenario = UntaggingScenario(FIRST)
    scenario.send(FIRST)
    before = scenario.clock.monotonic()

    scenario.sink.leave(scenario.pulse, 20.0)

    assert scenario.clock.monotonic() == before


def test_a_broken_producer_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its acknowledgements may wait for the next removal of tags."""
    monkeypatch.setattr("bridge.delivery.untagging_sink._TAGS_AT_ONCE", 1)
    scenario = UntaggingScenario(FIRST, SECOND)
    scenario.send(FIRST, SECOND)
    scenario.kafka.acknowledge()
    scenario.kafka.fail(Retryable("Kafka is unreachable"))
    scenario.sink.settled()
    scenario.reopen()

    scenario.send(SECOND)

    assert scenario.kafka.sent == 0


def test_the_kept_transitions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.delivery.untagging_sink._MAX_STILL_TAGGED", 1)
    kept = StillTagged()
    kept.keep([FIRST, SECOND])

    kept.keep([THIRD])

    assert [kept.take(item) for item in (FIRST, SECOND, THIRD)] == [False, False, True]
