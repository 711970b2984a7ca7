"""A bridge as the probes of its health see it, with servers that answer as tests set them."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.errors import BridgeError
from bridge.model.checkpoint import Checkpoint
from bridge.model.position import ClusterTime
from bridge.mongo.cluster import NewestWrites
from tests.support.fakes import FakeClock, FakeStore, SharedCheckpoint

EARLY, LATE = ClusterTime(10), ClusterTime(20)


@dataclass
class AnsweringSource:
    """A jobs collection that answers the questions of a check; it is its own cluster and sample."""

    writes: NewestWrites = field(default_factory=lambda: NewestWrites(LATE, LATE))
    exists: bool = True
    problem: str = ""
    failure: BridgeError | None = None
    tag_failure: BridgeError | None = None
    sampled: int = 0
    looked: int = 0
    oplog_reads: int = 0

    @property
    def cluster(self) -> AnsweringSource:
        return self

    @property
    def sample(self) -> AnsweringSource:
        return self

    def newest_writes(self) -> NewestWrites:
        if self.failure is not None:
            raise self.failure
        return self.writes

    def oldest_oplog_entry(self) -> ClusterTime:
        self.oplog_reads += 1
        return EARLY

    def collection_exists(self) -> bool:
        self.looked += 1
        return self.exists

    def misfit(self) -> str:
        self.sampled += 1
        return self.problem

    def check_tag_rights(self) -> None:
        if self.tag_failure is not None:
            raise self.tag_failure


class FakeProbe:
    """A probe of the collection or of the topic; ``failure`` is the topic's."""

    def __init__(self, source: AnsweringSource | None = None) -> None:
        self.source = source
        self.failure: BridgeError | None = None
        self.closed = False

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        self.closed = True


class ProbedBridge:
    """A bridge as checks see it; every probe that it makes is kept."""

    looping = True
    in_flight = None

    def __init__(self) -> None:
        self.jobs = AnsweringSource()
        self.store = FakeStore(SharedCheckpoint(FakeClock()))
        self.stored: Checkpoint | None = None
        self.source_probes: list[FakeProbe] = []
        self.topic_probes: list[FakeProbe] = []

    def source_probe(self) -> FakeProbe:
        self.source_probes.append(FakeProbe(self.jobs))
        return self.source_probes[-1]

    def topic_probe(self) -> FakeProbe:
        self.topic_probes.append(FakeProbe())
        return self.topic_probes[-1]

    def retry_now(self) -> None:
        """Do nothing: no session pauses."""
