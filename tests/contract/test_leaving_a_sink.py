"""A sink that is left: requests in flight are waited for, other messages are given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bridge.demo.servers.process import poll
from bridge.kafka import timeouts
from bridge.pipeline.ports import Sink
from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.servers.proxy import TcpProxy
from tests.support.sinks_under_test import KafkaSinkUnderTest, send, settle

#: More hand-overs than a client has requests in flight.
MANY = 40


class LeavingScenario:
    """A connected sink, and messages that the silent broker does not get."""

    def __init__(self, cluster: KafkaSinkUnderTest, proxy: TcpProxy) -> None:
        self.cluster = cluster
        self.proxy = proxy

    def connect(self, sink: Sink) -> None:
        send(self.cluster, sink, 4)
        settle(self.cluster, sink, lambda deliveries: len(deliveries) == 4)

    def send_to_a_silent_broker(self, sink: Sink) -> None:
        self.proxy.silence()
        held = self.proxy.counts.held
        for number in range(MANY):
            sink.send([(message("job-9", b"%d" % (100 + number), self.cluster.topic), delivery(5))])
            poll(lambda: self.proxy.counts.held > held, "a request in flight")

    def written(self) -> list[bytes]:
        values = [value for partition in self.cluster.written() for value in partition]
        return [value for value in values if int(value) >= 100]


@pytest.fixture
def scenario(
    behind_a_proxy: tuple[KafkaSinkUnderTest, Kafka],
) -> Iterator[LeavingScenario]:
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy:
        yield LeavingScenario(cluster, proxy)


def test_requests_in_flight_are_waited_for(
    scenario: LeavingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_SECONDS", 30.0)
    with scenario.cluster.open() as sink:
        scenario.connect(sink)
        scenario.send_to_a_silent_broker(sink)
        threading.Timer(0.5, scenario.proxy.pass_through).start()
        started = time.monotonic()

    assert 0.4 < time.monotonic() - started < 10
    written = scenario.written()
    assert written[:1] == [b"100"]
    assert written == [b"%d" % (100 + number) for number in range(len(written))]
    assert len(written) < MANY, "nothing was given up"


def test_a_silent_broker_is_not_waited_for(scenario: LeavingScenario) -> None:
    with scenario.cluster.open() as sink:
        scenario.connect(sink)
        scenario.send_to_a_silent_broker(sink)
        started = time.monotonic()

    assert timeouts.ANSWER_SECONDS - 0.1 < time.monotonic() - started < 4
    scenario.proxy.reset()
    scenario.proxy.pass_through()


def test_without_messages_nothing_is_waited_for(scenario: LeavingScenario) -> None:
    with scenario.cluster.open() as sink:
        scenario.connect(sink)
        scenario.proxy.silence()
        started = time.monotonic()

    assert time.monotonic() - started < timeouts.ANSWER_SECONDS / 2


def test_a_failed_request_is_not_waited_for(scenario: LeavingScenario) -> None:
    with scenario.cluster.open() as sink:
        scenario.connect(sink)
        scenario.send_to_a_silent_broker(sink)
        scenario.proxy.refuse()
        threading.Timer(0.2, scenario.proxy.reset).start()
        started = time.monotonic()

    assert time.monotonic() - started < timeouts.ANSWER_SECONDS - 0.2
