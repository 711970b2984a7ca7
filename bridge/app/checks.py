"""The questions to MongoDB and Kafka that show whether a bridge can work."""

import logging

from bridge.app.bridge import Bridge
from bridge.clock import Clock
from bridge.kafka.probe import TopicProbe
from bridge.logs import Repeated
from bridge.model.health import Majority
from bridge.model.profile import namespace_of
from bridge.model.transition import Transition
from bridge.mongo.probe import SourceProbe
from bridge.mongo.source import MongoSource
from bridge.observability.snapshot import OplogTimes
from bridge.settings import Settings

logger = logging.getLogger("bridge")

#: How often it is asked whether the collection exists, once this process has delivered from it.
_LOOK_SECONDS = 60.0
#: A collection that does not exist is logged once per this many seconds.
_WARNING_SECONDS = 300.0


class KafkaCheck:
    """Asks whether the topic can accept messages, without sending any."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._probe: TopicProbe | None = None

    def ask(self) -> None:
        if self._probe is None:
            self._probe = self._bridge.topic_probe()
        try:
            self._probe.check()
        except Exception:
            # The next question uses the settings of that time.
            self.close()
            raise

    def reason(self, now: float) -> str:
        return ""

    def close(self) -> None:
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.close()


class MongoDbCheck:
    """Asks whether the primary and the majority work, and whether the jobs can be read.

    Attributes:
        collection_exists: Whether the collection exists; None while that is not known.
    """

    def __init__(self, settings: Settings, bridge: Bridge, clock: Clock) -> None:
        self.collection_exists: bool | None = None
        self._settings = settings
        self._namespace = namespace_of(settings)
        self._bridge = bridge
        self._clock = clock
        self._warning = Repeated(logger, _WARNING_SECONDS)
        self._majority = Majority()
        self._misfit = ""
        #: The last transition of an earlier process; the settings may have changed since.
        self._delivered_before: Transition | None = None
        self._knows_before = False
        self._probe: SourceProbe | None = None
        self._looked: float | None = None
        self._oplog = OplogTimes()
        self._oplog_is_used = True

    def ask(self) -> None:
        if self._probe is None:
            self._probe = self._bridge.source_probe()
        source = self._probe.source
        try:
            self._ask_primary(source)
            self._look(source)
        except Exception:
            # As for Kafka.
            self.close()
            self._oplog = OplogTimes()
            self._oplog_is_used = True
            self._looked = None
            raise

    def oplog_times(self) -> OplogTimes:
        """Return the times of the last answer, unknown after a failure.

        The oldest entry is asked for only where this is called.
        """
        self._oplog_is_used = True
        return self._oplog

    def reason(self, now: float) -> str:
        return self._majority.reason(now) or self._misfit

    def close(self) -> None:
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.close()

    def _ask_primary(self, source: MongoSource) -> None:
        writes = source.cluster.newest_writes()
        now = self._clock.monotonic()
        self._majority = self._majority.reported(now, writes.primary, writes.majority)
        oldest = self._oplog.oldest
        if self._oplog_is_used:
            self._oplog_is_used = False
            # ``serverStatus`` costs the server more than ``hello``.
            oldest = source.cluster.oldest_oplog_entry()
        self._oplog = OplogTimes(writes.primary, oldest)

    def _look(self, source: MongoSource) -> None:
        """Look at the rights and the collection; seldom where a delivery has proved enough."""
        now = self._clock.monotonic()
        if self._settings.delivery.mode.startswith("background"):
            source.check_tag_rights()
        delivered = self._has_delivered()
        if delivered:
            self._misfit = ""
        well = self.collection_exists and delivered
        if well and self._looked is not None and now - self._looked < _LOOK_SECONDS:
            return
        self._look_for_collection(source, now)
        if not delivered:
            self._look_at_jobs(source)
        self._looked = now

    def _has_delivered(self) -> bool:
        """Return whether this process has delivered a transition, with these settings."""
        stored = self._bridge.stored
        if stored is None:
            return False
        if not self._knows_before:
            self._knows_before = True
            self._delivered_before = stored.delivered
        return stored.delivered != self._delivered_before

    def _look_for_collection(self, source: MongoSource, now: float) -> None:
        self.collection_exists = source.collection_exists()
        if self.collection_exists:
            self._warning.over(now, f"the collection {self._namespace} exists")
        else:
            self._warning.failed(now, missing_collection(self._namespace))

    def _look_at_jobs(self, source: MongoSource) -> None:
        problem = source.sample.misfit()
        jobs = self._settings.jobs
        self._misfit = problem and (
            f"The documents of {self._namespace} do not fit jobs.profile = {jobs.profile}: in "
            f"every sampled job {problem}. No transition of them can be sent; correct "
            "mongo.collection, jobs.profile or the fields of a custom profile"
        )


def missing_collection(namespace: str) -> str:
    """Return the note for a collection that does not exist."""
    return (
        f"the collection {namespace} does not exist: its jobs will be delivered once it does; "
        "check mongo.database and mongo.collection if it should exist already"
    )
