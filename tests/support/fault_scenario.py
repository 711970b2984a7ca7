"""One run under test: servers, a fresh topic and database, bridges, load, and the judgement at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from bridge.demo.servers.mongod import Mongod
from bridge.demo.servers.process import POLL_SECONDS
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_cases import Way
from tests.support.follower import Follower
from tests.support.load import Load
from tests.support.oracle import Verdict, judge
from tests.support.servers.kafka import Kafka
from tests.support.simulator import Commit, Workload
from tests.support.witness import CHECKPOINTS, Witness

ARRIVAL_SECONDS = 60.0
BUSY = Workload(rate=150, concurrency=16)
#: More in flight than had been sent when Kafka stopped: of those the answers may be on their way.
WAITING = 20


class Bench:
    """Everything a fault test needs; leaving it ends every bridge that still runs.

    Start load only when a bridge is ready: every transition since the beginning is expected to arrive.
    """

    def __init__(
        self, mongo: Mongod, kafka: Kafka, database: str, topic: str, way: Way, folder: Path
    ) -> None:
        self.mongo, self.kafka = mongo, kafka
        self.database, self.topic, self.way = database, topic, way
        self.witness = Witness(mongo.uri, database, database)
        self._follower = Follower(kafka.internal, topic)
        self._folder = folder
        self._bridges: list[BridgeProcess] = []
        self._loads: list[Load] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for bridge in self._bridges:
            bridge.close()
        self.witness.close()
        self._follower.leave()

    def bridge(self, **settings: str) -> BridgeProcess:
        """A bridge of this run, not yet started; all share one checkpoint unless told otherwise."""
        bridge = BridgeProcess(self._folder, self.settings() | settings)
        self._bridges.append(bridge)
        return bridge

    def settings(self) -> dict[str, str]:
        return {
            "MONGO_URI": self.mongo.uri,
            "MONGO_DATABASE": self.database,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "KAFKA_TOPIC": self.topic,
            "CHECKPOINT_NAME": self.database,
            **self.way.settings(),
        }

    def load(self, workload: Workload = BUSY) -> Load:
        """The job service, to be entered; no faster than the way of this bench, and without notes of its own where tags are kept."""
        rate = self.way.rate or workload.rate
        workload = replace(
            workload,
            rate=min(rate, workload.rate or rate) if rate else None,
            noise=workload.noise and self.way.positions,
        )
        load = Load(self.mongo.uri, self.database, workload)
        self._loads.append(load)
        return load

    @property
    def acknowledged(self) -> list[Commit]:
        return [commit for load in self._loads for commit in load.commits]

    @contextmanager
    def kafka_away(self) -> Iterator[float]:
        """Kills the broker and starts it again; gives the time of its death, Unix seconds."""
        self._follower.leave()
        self.kafka.kill()
        try:
            yield time.time()
        finally:
            self.kafka.start()

    @contextmanager
    def kafka_paused(self) -> Iterator[None]:
        """Freezes the broker meanwhile; nobody is told."""
        self.kafka.pause()
        try:
            yield
        finally:
            self.kafka.resume()

    @contextmanager
    def jobs_must(self, validator: Mapping[str, Any]) -> Iterator[None]:
        """MongoDB refuses every write meanwhile that leaves a job otherwise."""
        with self.mongo.client(self.mongo.primary_index()) as client:
            database = client[self.database]
            if "jobs" not in database.list_collection_names():
                database.create_collection("jobs")
            database.command("collMod", "jobs", validator=validator)
            try:
                yield
            finally:
                database.command("collMod", "jobs", validator={})

    def count(self) -> int:
        """How many messages the topic has; cheaper than reading them."""
        return self._follower.count()

    def arrived(self) -> set[str]:
        """The transitions in the topic now."""
        return {each.trans_id for each in self._follower.read()}

    def await_arrival(self, seconds: float = ARRIVAL_SECONDS) -> bool:
        """Wait until all that is committed at this moment arrived; False when time is over."""
        self.witness.catch_up()
        wanted = {each.trans_id for each in self.witness.transitions}
        end = time.monotonic() + seconds
        while not wanted <= self.arrived():
            if time.monotonic() > end:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def finish(self, bridge: BridgeProcess, seconds: float = ARRIVAL_SECONDS) -> Verdict:
        """Let everything arrive, stop the bridge in order, and judge the run."""
        self.await_arrival(seconds)
        code = bridge.terminate()
        assert code == 0, f"the bridge ended with {code}:\n{bridge.log_tail()}"
        return self.judge()

    def judge(self) -> Verdict:
        """Compare what is committed with what has arrived now."""
        self.witness.catch_up()
        return judge(
            self.witness.transitions,
            self.acknowledged,
            self.witness.saves,
            self._follower.read(),
            positions=self.way.positions,
        )

    def stored(self) -> Mapping[str, Any]:
        """The document of the checkpoint; empty when there is none."""
        with self.mongo.client(self.mongo.primary_index()) as client:
            return client["job_bridge"][CHECKPOINTS].find_one({"_id": self.database}) or {}

    def change_stored(self, fields: Mapping[str, Any]) -> None:
        """Set fields of that document, as nobody should."""
        with self.mongo.client(self.mongo.primary_index()) as client:
            client["job_bridge"][CHECKPOINTS].update_one(
                {"_id": self.database}, {"$set": dict(fields)}
            )
