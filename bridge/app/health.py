"""The health of a running bridge: the answers of MongoDB, Kafka and the log."""

from types import TracebackType
from typing import Self

from bridge import logs
from bridge.app.bridge import Bridge
from bridge.app.checks import KafkaCheck, MongoDbCheck, missing_collection
from bridge.app.members import Members
from bridge.app.probe import Probe
from bridge.clock import Clock
from bridge.model.health import blocked_log
from bridge.model.profile import namespace_of
from bridge.observability.snapshot import HealthState
from bridge.settings import Settings


class Health:
    """Asks MongoDB and Kafka whether they work, on a thread each, from entering to leaving.

    The loop never waits for it. :meth:`state` may be called on any thread and never waits.
    """

    def __init__(self, settings: Settings, bridge: Bridge, clock: Clock) -> None:
        self._namespace = namespace_of(settings)
        self._jobs = MongoDbCheck(settings, bridge, clock)
        self._mongodb = Probe("MongoDB", self._jobs, clock, bridge=bridge, logs_silence=False)
        self._members = Members(settings, bridge.store)
        self._kafka = Probe("Kafka", KafkaCheck(bridge), clock, bridge=bridge, logs_silence=True)

    def __enter__(self) -> Self:
        self._mongodb.start()
        self._kafka.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._mongodb.stop()
        self._kafka.stop()
        self._mongodb.join()
        self._kafka.join()

    def state(self) -> HealthState:
        """Return the health at this moment."""
        exists = self._jobs.collection_exists
        mongodb_reasons = self._mongodb.reasons()
        if not (self._mongodb.answers.known or mongodb_reasons):
            # A bridge is not ready before it has looked at the jobs.
            mongodb_reasons = ["MongoDB has not answered yet"]
        log = blocked_log(logs.blocked())
        return HealthState(
            reasons=(*self._kafka.reasons(), *mongodb_reasons, *([log] if log else [])),
            notes=(missing_collection(self._namespace),) if exists is False else (),
            kafka_up=self._kafka.up,
            mongodb_up=self._mongodb.up,
            collection_exists=exists,
            oplog=self._jobs.oplog_times(),
            log_lines_dropped=logs.dropped(),
            warnings=logs.recent_warnings(),
            ownership=self._members.state(),
        )
