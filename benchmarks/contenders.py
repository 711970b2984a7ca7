"""The contenders: the bridge with each driver, and the other connectors."""

import shutil
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pymongo import MongoClient

from benchmarks.bridge import COMMAND, MeasuredBridge
from benchmarks.connect import NAMES, Connect
from benchmarks.connect_exactly_once import ExactlyOnceConnect
from benchmarks.mqbridge import MqBridge
from benchmarks.world import Backlog, Contender, Make, Route, World
from bridge.demo.servers.process import poll

DRIVERS = ("librdkafka", "kafka-python")
#: The same bridge with PyMongo's cursors.
READERS = {
    reader: (*COMMAND[:3], "benchmarks.pymongo_cursors", argument, "run")
    for reader, argument in (("raw batches", "raw"), ("watch()", "watch"))
}
PEERS = ("mongodb", "debezium", "debezium-exactly-once", "mq-bridge")
#: The connectors that are also measured with document lookup; mq-bridge has no setting for it.
LOOKING_UP = ("mongodb", "debezium")
#: The connectors that cannot start in the past.
_PRIMED = ("debezium", "debezium-exactly-once", "mq-bridge")
#: Settings and name of the bridge in the mode exactly-once.
EXACTLY_ONCE: Mapping[str, str] = {"delivery.mode": "exactly-once", "checkpoint.store": "kafka"}
OWN_EXACTLY_ONCE = "librdkafka-exactly-once"
_PRIME_SECONDS = 60.0
_MARK_SECONDS = 0.2


def bridge(
    world: World,
    driver: str,
    headers: str = "none",
    *,
    command: Sequence[str] = COMMAND,
    settings: Mapping[str, str] | None = None,
) -> Make:
    """The bridge with a driver; by default without headers, because the others send none."""
    given = {"kafka.driver": driver, "kafka.headers": headers, **(settings or {})}

    def make(database: str, topic: str, start: int | None) -> AbstractContextManager[Contender]:
        return MeasuredBridge(Route(world, database, topic, start), given, command=command)

    return make


def own_makes(world: World) -> dict[str, Make]:
    """The bridge with each driver, and in the mode exactly-once."""
    exactly_once = bridge(world, "librdkafka", settings=EXACTLY_ONCE)
    return {driver: bridge(world, driver) for driver in DRIVERS} | {OWN_EXACTLY_ONCE: exactly_once}


@dataclass(slots=True)
class Peers:
    """The other connectors.

    Debezium and mq-bridge store a position just before the backlog is written.
    """

    world: World

    def make(self, kind: str, variant: str = "throughput") -> Make:
        """A connector; over a backlog it starts at the stored position."""

        def make(database: str, topic: str, start: int | None) -> AbstractContextManager[Contender]:
            state = self.world.folder / f"{topic}-state"
            primed = self._primed(database, kind)
            if primed.exists():
                shutil.copytree(primed, state)
            return _connector(kind, Route(self.world, database, topic, start), state, variant)

        return make

    def backlog(self, jobs: int, kinds: Sequence[str], transitions: int = 7) -> Backlog:
        """A backlog with the positions of these connectors stored just before it."""
        primed = [kind for kind in _PRIMED if kind in kinds]
        return self.world.backlog(jobs, transitions, before=partial(self._prime, primed))

    def settings(self, kind: str, variant: str) -> Mapping[str, str]:
        """The settings of a connector, for the report."""
        route = Route(self.world, "database", "topic", None)
        return _connector(kind, route, self.world.folder / "settings", variant).settings

    def _primed(self, database: str, kind: str) -> Path:
        return self.world.folder / f"{database}-{kind}"

    def _prime(self, kinds: Sequence[str], database: str) -> None:
        for kind in kinds:
            route = Route(self.world, database, self.world.topic(), None)
            with _connector(kind, route, self._primed(database, kind), "throughput"):
                with _Marks(self.world.mongod.uri, database):
                    poll(
                        partial(self._arrived, route.topic),
                        f"the first message of {kind}",
                        _PRIME_SECONDS,
                    )
                # The remaining marks arrive, and the position after them is stored.
                time.sleep(3)

    def _arrived(self, topic: str) -> bool:
        return self.world.count(topic) > 0


def _connector(
    kind: str, route: Route, state: Path, variant: str
) -> Connect | ExactlyOnceConnect | MqBridge:
    if kind == "mq-bridge":
        return MqBridge(route, state, variant=variant)
    if kind == "debezium-exactly-once":
        return ExactlyOnceConnect(route, state, variant=variant)
    return Connect(kind, route, state, variant=variant)


class _Marks:
    """Inserts documents until the connector has delivered the first; a context manager."""

    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._database = database
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        with MongoClient[dict[str, object]](self._uri) as client:
            while not self._done.wait(_MARK_SECONDS):
                client[self._database].jobs.insert_one({"id": f"mark-{uuid.uuid4()}", "mark": True})


def title(name: str) -> str:
    """The contender's name in the report."""
    if name == OWN_EXACTLY_ONCE:
        return "job-bridge, librdkafka, exactly-once"
    return f"job-bridge, {name}" if name in DRIVERS else NAMES.get(name, name)


def sends_transactions(name: str) -> bool:
    """Whether the contender of this name sends in transactions."""
    return name.endswith("exactly-once")
