"""Who takes part: the bridge with each driver, and the other connectors."""

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

from benchmarks.bridge import COMMAND, Bridge
from benchmarks.connect import NAMES, Connect
from benchmarks.mqbridge import MqBridge
from benchmarks.world import Backlog, Contender, Make, World
from bridge.demo.servers.process import poll

DRIVERS = ("librdkafka", "kafka-python")
#: The same bridge, reading another way.
OTHERWISE = {
    way: (*COMMAND[:3], "benchmarks.otherwise", name, "run")
    for way, name in (("raw batches", "raw"), ("watch()", "watch"))
}
PEERS = ("mongodb", "debezium", "mq-bridge")
_PRIME_SECONDS = 60.0


def bridge(
    world: World,
    driver: str,
    headers: str = "none",
    command: Sequence[str] = COMMAND,
    settings: Mapping[str, str] | None = None,
) -> Make:
    """The bridge with a driver; without headers where nothing else is said, as the peers send none."""
    given = {"kafka.driver": driver, "kafka.headers": headers, **(settings or {})}

    def make(database: str, topic: str, start: int | None) -> AbstractContextManager[Contender]:
        return Bridge(
            world.folder,
            world.mongod.uri,
            database,
            world.kafka.bootstrap,
            topic,
            start,
            given,
            command=command,
        )

    return make


@dataclass(slots=True)
class Peers:
    """The other connectors. Two of them cannot begin in the past: their place is stored before the backlog is written."""

    world: World

    def make(self, kind: str, variant: str = "throughput") -> Make:
        """A connector; over a backlog it begins where ``prime`` left it."""

        def make(database: str, topic: str, start: int | None) -> AbstractContextManager[Contender]:
            state = self.world.folder / f"{topic}-state"
            primed = self._primed(database, kind)
            if primed.exists():
                shutil.copytree(primed, state)
            return self._made(kind, database, topic, start, state, variant)

        return make

    def backlog(self, jobs: int, transitions: int = 7) -> Backlog:
        """A backlog with the peers' places stored right before it."""
        return self.world.backlog(jobs, transitions, before=self._prime)

    def settings(self, kind: str, variant: str) -> Mapping[str, str]:
        """What is set, for the report."""
        made = self._made(kind, "database", "topic", None, self.world.folder / "settings", variant)
        return made.settings

    def _made(
        self, kind: str, database: str, topic: str, start: int | None, state: Path, variant: str
    ) -> Connect | MqBridge:
        world = self.world
        if kind == "mq-bridge":
            return MqBridge(
                world.folder,
                world.mongod.uri,
                database,
                world.kafka.bootstrap,
                topic,
                state,
                variant=variant,
            )
        return Connect(
            world.folder,
            kind,
            world.mongod.uri,
            database,
            world.kafka.bootstrap,
            topic,
            start,
            state,
            variant=variant,
        )

    def _primed(self, database: str, kind: str) -> Path:
        return self.world.folder / f"{database}-{kind}"

    def _prime(self, database: str) -> None:
        for kind in ("debezium", "mq-bridge"):
            topic = self.world.topic()
            with self._made(
                kind, database, topic, None, self._primed(database, kind), "throughput"
            ):
                with _marks(self.world.mongod.uri, database):
                    poll(
                        partial(self._arrived, topic),
                        f"the first message of {kind}",
                        _PRIME_SECONDS,
                    )
                # What was marked meanwhile arrives, and the place after it is stored.
                time.sleep(3)

    def _arrived(self, topic: str) -> bool:
        return self.world.count(topic) > 0


class _marks:
    """Writes to another document again and again, until the connector has seen one."""

    def __init__(self, uri: str, database: str) -> None:
        self._uri, self._database = uri, database
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        with MongoClient[dict[str, object]](self._uri) as client:
            while not self._done.wait(0.2):
                client[self._database].jobs.insert_one({"id": f"mark-{uuid.uuid4()}", "mark": True})


def title(name: str) -> str:
    """A contender's name as the report has it."""
    return NAMES.get(
        name,
        {"mq-bridge": "mq-bridge", **{driver: f"job-bridge, {driver}" for driver in DRIVERS}}.get(
            name, name
        ),
    )
