"""When the MongoDB clients of a bridge are replaced."""

from __future__ import annotations

import pytest

from bridge.app.clients import REPLACE_SECONDS, ClientReplacement
from bridge.errors import BridgeError, Misconfigured, NotPermitted, Retryable
from bridge.mongo.connection_failures import TlsFailed
from bridge.observability.counters import Counters
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.stall_warning import REPLACE_SECONDS as STUCK_SECONDS
from tests.support.bridge_on_fakes import BridgeOnFakes, FakeSource
from tests.support.fakes import FakeClock, Log

UNREACHABLE = Retryable("MongoDB does not answer", part="mongodb")
REFUSED = NotPermitted("MongoDB refuses this user", part="checkpoint")
BAD_FILE = Misconfigured("the CA file cannot be read", part="mongodb")


class ReplacementScenario:
    """A bridge's replacement on a fake clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.counters = Counters()
        self.source = FakeSource(Log())
        context = PipelineContext(Pulse(self.clock), self.counters)
        self.replacement = ClientReplacement(self.source, context)


@pytest.fixture
def scenario() -> ReplacementScenario:
    return ReplacementScenario()


@pytest.mark.parametrize(
    "error", [REFUSED, BAD_FILE, TlsFailed("MongoDB's certificate expired", part="mongodb")]
)
def test_refused_credentials_replace_at_once(
    scenario: ReplacementScenario, error: BridgeError
) -> None:
    for _ in range(2):
        assert scenario.replacement.due(error, failing_seconds=0.0)
        scenario.replacement.replace()

    assert scenario.source.replaced == scenario.counters.clients_replaced == 2


def test_other_failures_replace_once_a_minute(scenario: ReplacementScenario) -> None:
    due = scenario.replacement.due
    assert not due(UNREACHABLE, REPLACE_SECONDS - 0.1)
    assert due(UNREACHABLE, REPLACE_SECONDS)

    scenario.replacement.replace()

    scenario.clock.advance(REPLACE_SECONDS - 0.1)
    assert not due(UNREACHABLE, 2 * REPLACE_SECONDS)
    scenario.clock.advance(0.1)
    assert due(UNREACHABLE, 2 * REPLACE_SECONDS)


@pytest.mark.parametrize("kind", [Retryable, NotPermitted, Misconfigured])
def test_failures_of_kafka_replace_nothing(
    scenario: ReplacementScenario, kind: type[BridgeError]
) -> None:
    assert not scenario.replacement.due(kind("Kafka", part="kafka"), 1e6)


def test_a_bad_file_is_logged_and_waited_for(
    scenario: ReplacementScenario, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.source.bad_files = [BAD_FILE]

    scenario.replacement.replace()
    scenario.clock.advance(30.0)
    scenario.replacement.replace()

    assert scenario.counters.clients_replaced == 1
    assert caplog.messages[0] == (
        "the MongoDB clients cannot be replaced yet: the CA file cannot be read"
    )


def test_replacements_do_not_flood_the_log(
    scenario: ReplacementScenario, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "bridge"):
        for _ in range(10):
            scenario.replacement.replace()
            scenario.clock.advance(3.0)

    (line,) = caplog.messages
    assert line.startswith("MongoDB clients replaced") and "read again" in line


def test_a_bridge_replaces_clients_after_a_refusal(world: BridgeOnFakes) -> None:
    """The refusal may come from an old password; the first session proved the permissions."""
    world.log.append()

    def refuse() -> None:
        world.kafka.producer.acknowledge()
        world.source.failures = [REFUSED]
        world.kafka.producer.fail(Retryable("lost", part="kafka"))

    world.run(refuse, *[lambda: None] * 8)

    assert world.source.replaced == world.bridge.counters.clients_replaced == 1


def test_a_long_outage_replaces_clients_every_minute(world: BridgeOnFakes) -> None:
    world.source.failures = [UNREACHABLE] * 12

    world.run()

    outage = world.clock.monotonic()
    assert 1 <= world.source.replaced <= outage / REPLACE_SECONDS


def test_a_stuck_producer_is_replaced(world: BridgeOnFakes) -> None:
    """Its messages are sent by another one, and not awaited for the time of a drain."""
    world.log.append()
    stuck: list[float] = []

    def stall() -> None:
        world.clock.advance(STUCK_SECONDS)
        stuck.append(world.clock.monotonic())

    def acknowledge_by_the_second() -> None:
        if len(world.kafka.producers) > 1:
            world.acknowledge()

    opened: list[float] = []
    world.kafka.before_open = lambda: opened.append(world.clock.monotonic())
    world.run(stall, *[acknowledge_by_the_second] * 100)

    assert len(world.kafka.producers) == 2
    assert opened[1] - stuck[0] < 2.0
    assert world.bridge.counters.clients_replaced == 1
    assert world.trans_ids() == ["job-0/1"]
    assert any("has not acknowledged anything for 60 s" in reason for reason in world.reasons)
