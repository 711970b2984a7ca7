"""A run that a read_committed consumer watches, and what must hold for it."""

from __future__ import annotations

from types import TracebackType

from bridge.demo.servers.process import ServerError, poll
from tests.support.bridge_process import BridgeProcess
from tests.support.fault_scenario import FaultScenario
from tests.support.live_reader import LiveReader
from tests.support.visible_verdict import judge_visible

#: Kafka ends the transaction of a dead process in this time at the latest.
SETTLE_SECONDS = 60.0
EXAMPLES = 5


class VisibleRun:
    """Reads the topic of a scenario live, from entering to leaving."""

    def __init__(self, scenario: FaultScenario) -> None:
        self._scenario = scenario
        self.reader = LiveReader(scenario.kafka.internal, scenario.topic)

    def __enter__(self) -> VisibleRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reader.close()

    def check_position(self) -> None:
        """While no bridge runs: exactly what the stored position covers is visible.

        A torn transaction would leave messages without their position, or the reverse.
        """
        try:
            poll(lambda: not self._torn(), "a position that agrees with the topic", SETTLE_SECONDS)
        except ServerError:
            raise AssertionError("; ".join(self._torn()[:EXAMPLES])) from None

    def _torn(self) -> list[str]:
        scenario = self._scenario
        token = scenario.checkpoint().get("token", "")
        scenario.witness.catch_up()
        visible = {reading.trans_id for reading in list(self.reader.readings)}
        return [
            f"{commit} is {'visible' if commit.trans_id in visible else 'not visible'}"
            f" at the position {token[:24]}"
            for commit in scenario.witness.transitions
            if (commit.token <= token) != (commit.trans_id in visible)
        ]

    def finish(self, bridge: BridgeProcess, *, at_least: int = 100) -> None:
        """Let everything arrive, stop the bridge, and check what was visible."""
        self._scenario.finish(bridge).check(repeated_at_most=0, at_least=at_least)
        self.check_position()
        self.judge()

    def judge(self) -> None:
        """Check that every transition is visible once, in order, and no aborted message was."""
        scenario = self._scenario
        final = scenario.kafka.read(scenario.topic)
        self.reader.drain({(record.partition, record.offset) for record in final})
        self.reader.check()
        verdict = judge_visible(scenario.witness.transitions, final, self.reader.readings)
        everything = scenario.kafka.read(scenario.topic, isolation="read_uncommitted")
        print(f"{len(final)} visible, {len(everything) - len(final)} aborted")
        verdict.check()
