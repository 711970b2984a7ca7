"""Kafka down for half a minute."""

from __future__ import annotations

from contextlib import ExitStack

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeScenario
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    ONE_DELIVERY,
    TAGS,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.load import Load
from tests.support.servers.mongo import MongoDeployment
from tests.support.simulator import Workload

CASES = (AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, TAGS)
#: After this long without an acknowledgement the bridge is not ready, which ends the outage.
OUTAGE_SECONDS = 10.0
#: Above the movements of the client's buffers and the interpreter's arenas.
NOISE_BYTES = 24 * 2**20
WINDOW = 300
LOAD = Workload(rate=60, concurrency=8, error_share=0.4, writes="both")


class Outage:
    """One bridge under load before, during and after the outage that all of them share."""

    def __init__(self, scenario: FaultScenario) -> None:
        self.scenario = scenario
        self.bridge = scenario.bridge(delivery__window_messages=str(WINDOW))
        self.load: Load = scenario.load(LOAD)

    def before(self) -> None:
        # The loads of all outages run at once: only the first is waited for.
        self.load.await_commits(WINDOW - len(self.load.commits))
        self._pid = self.bridge.pid
        self._bytes = self.bridge.resident_bytes()

    def during(self) -> None:
        poll(lambda: _in_flight(self.bridge) >= WINDOW, "a full window")
        self.bridge.wait_unready("Kafka has not acknowledged anything")
        assert _in_flight(self.bridge) == WINDOW
        assert self.bridge.resident_bytes() - self._bytes < NOISE_BYTES

    def after(self) -> None:
        self.bridge.wait_ready()
        self.load.await_commits(50)

    def check(self) -> None:
        messages = [line["message"] for line in self.bridge.all_lines()]
        (resumed,) = (text for text in messages if "is acknowledging messages again" in text)
        assert float(resumed.split()[-2]) > OUTAGE_SECONDS, resumed
        assert self.bridge.pid == self._pid
        # On a busy machine the outage may last a minute, after which the producer is replaced.
        assert set(self.bridge.restarts()) <= {"kafka"}
        self.scenario.finish(self.bridge).check(repeated_at_most=0, at_least=2 * WINDOW)


@ONE_DELIVERY
def test_a_broker_outage_costs_only_time(
    make_scenario: MakeScenario, mongo: MongoDeployment
) -> None:
    """A while without a broker loses and repeats nothing, within bounded memory.

    The drivers and modes share one outage.
    """
    outages = [Outage(make_scenario(mongo, case)) for case in CASES]
    with ExitStack() as stack:
        for outage in outages:
            outage.bridge.start().wait_ready()
            stack.enter_context(outage.load)
        for outage in outages:
            outage.before()
        with outages[0].scenario.kafka_down():
            for outage in outages:
                outage.during()
        for outage in outages:
            outage.after()
    for outage in outages:
        outage.check()


def _in_flight(bridge: BridgeProcess) -> float:
    return bridge.metric("job_bridge_in_flight_messages")
