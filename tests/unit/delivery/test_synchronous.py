"""Synchronous: each message is acknowledged before the next is sent, or the error names it."""

from __future__ import annotations

import threading

import pytest

from bridge.delivery.synchronous import SynchronousSink
from bridge.errors import Fenced, NotPermitted, Retryable, SendFailed
from bridge.model.window import Delivery, Sending
from tests.support.factories import at, message, transition
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeWake

SECONDS = 35.0
DRAIN_SECONDS = 5.0


class Desk:
    def __init__(self) -> None:
        self.clock, self.stop = FakeClock(), threading.Event()
        self.broker = FakeBroker("jobs")
        self.kafka = FakeSink(self.broker)
        self.wake = FakeWake(self.clock)
        self.kept: list[float] = []
        self.sink = SynchronousSink(
            self.kafka,
            self.clock,
            self.wake,
            SECONDS,
            stop=self.stop,
            drain_seconds=DRAIN_SECONDS,
            meanwhile=lambda: self.kept.append(self.clock.monotonic()),
        )

    def sendings(self, count: int) -> list[Sending]:
        return [
            (message("job-0", b"%d" % number), Delivery(at(number), 1, item=transition(number)))
            for number in range(1, count + 1)
        ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_message_is_sent_when_the_one_before_it_is_acknowledged(desk: Desk) -> None:
    in_flight = []

    def answer() -> None:
        in_flight.append(desk.kafka.in_flight)
        desk.kafka.acknowledge()

    desk.wake.meanwhile = answer
    sent = desk.sendings(3)

    desk.sink.send(sent)

    assert in_flight == [1, 1, 1]
    assert list(desk.sink.settled()) == [one for _, one in sent]
    assert list(desk.sink.settled()) == []


def test_the_ownership_is_kept_while_it_waits(desk: Desk) -> None:
    with pytest.raises(SendFailed):
        desk.sink.send(desk.sendings(1))

    assert len(desk.kept) > SECONDS
    assert max(after - before for before, after in zip(desk.kept, desk.kept[1:], strict=False)) < 1


def test_no_answer_in_time_is_an_error_that_names_job_state_and_cause(desk: Desk) -> None:
    began = desk.clock.monotonic()

    with pytest.raises(
        SendFailed,
        match=r"Job job-0, state download_submitted: .* did not acknowledge it within 35 s",
    ) as raised:
        desk.sink.send(desk.sendings(2))

    assert raised.value.exit_code == 75
    assert (
        "sent again at the next start" in raised.value.data and "start again" in raised.value.todo
    )
    assert desk.clock.monotonic() - began == pytest.approx(SECONDS, abs=0.5)
    assert desk.sink.broken
    assert desk.kafka.sent == 1


@pytest.mark.parametrize(
    "error", [Retryable("the broker is gone"), NotPermitted("Kafka refuses this user")]
)
def test_a_failure_is_the_same_error_with_its_cause(
    desk: Desk, error: Retryable | NotPermitted
) -> None:
    desk.kafka.fail(error)

    with pytest.raises(SendFailed, match=f"job-0.*{error.what}"):
        desk.sink.send(desk.sendings(1))

    assert desk.sink.broken


def test_what_was_acknowledged_before_a_failure_is_settled(desk: Desk) -> None:
    answers = iter([lambda: desk.kafka.acknowledge()])
    desk.wake.meanwhile = lambda: next(answers, lambda: None)()
    sent = desk.sendings(2)

    with pytest.raises(SendFailed, match="job_submitting"):
        desk.sink.send(sent)

    assert list(desk.sink.settled()) == [sent[0][1]]


def test_who_was_deposed_while_it_waited_hears_that_and_nothing_else(desk: Desk) -> None:
    def deposed() -> None:
        raise Fenced("another bridge took over")

    sink = SynchronousSink(
        desk.kafka,
        desk.clock,
        desk.wake,
        SECONDS,
        stop=desk.stop,
        drain_seconds=DRAIN_SECONDS,
        meanwhile=deposed,
    )

    with pytest.raises(Fenced):
        sink.send(desk.sendings(1))
    assert sink.broken


def test_a_stop_shortens_the_wait(desk: Desk) -> None:
    desk.stop.set()
    began = desk.clock.monotonic()

    with pytest.raises(SendFailed):
        desk.sink.send(desk.sendings(1))

    assert desk.clock.monotonic() - began == pytest.approx(DRAIN_SECONDS, abs=0.5)
