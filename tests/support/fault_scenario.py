"""One run under test: servers, a fresh topic and database, bridges, load, and the final verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from pymongo import MongoClient

from bridge.demo.servers.process import POLL_SECONDS
from tests.support.bridge_process import BridgeProcess
from tests.support.command import GivenSettings, by_name
from tests.support.delivery_case import DeliveryCase
from tests.support.follower import Follower
from tests.support.job_writer import JobWriter
from tests.support.load import Load
from tests.support.messages import header, published_states
from tests.support.oracle import Verdict, judge
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client, MongoDeployment
from tests.support.simulator import Commit, Workload
from tests.support.state_topic import stored_checkpoint, stored_saves
from tests.support.witness import CHECKPOINTS, Save, Witness

#: Generous: only messages that are lost or stuck reach it.
ARRIVAL_SECONDS = 120.0
#: Jobs of both generations, and enough failures for many recoveries.
BUSY = Workload(rate=150, concurrency=16, error_share=0.4, writes="both")
#: A short run of the same kind.
FORTY_JOBS = Workload(jobs=40, rate=None, error_share=0.4, writes="both")
#: A window with this many messages waits for Kafka: fewer may only be in flight.
WAITING = 20


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a scenario takes place: servers, names of its own, and a folder for logs."""

    mongo: MongoDeployment
    kafka: Kafka
    database: str
    topic: str
    folder: Path


class FaultScenario:
    """A fault test's servers, bridges and load; leaving it ends every bridge that still runs.

    Start load only when a bridge is ready: the verdict expects every transition to arrive.
    """

    def __init__(self, setting: Setting, delivery: DeliveryCase) -> None:
        self.mongo = setting.mongo
        self.kafka = setting.kafka
        self.database = setting.database
        self.topic = setting.topic
        self.delivery = delivery
        self.witness = Witness(self.mongo.uri, self.database, self.database)
        self._follower = Follower(self.kafka.internal, self.topic, delivery.isolation)
        self._folder = setting.folder
        self._bridges: list[BridgeProcess] = []
        self._loads: list[Load] = []

    def __enter__(self) -> FaultScenario:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for bridge in self._bridges:
            bridge.close()
        if error is not None and self._bridges:
            error.add_note(self._bridges[-1].log_tail())
        self.witness.close()
        self._follower.leave()
        if "client" in self.__dict__:
            self.client.close()

    def bridge(self, **settings: str) -> BridgeProcess:
        """A bridge of this run, not started yet; all share one checkpoint by default."""
        log_file = self._folder / f"bridge-{len(self._bridges)}.log"
        bridge = BridgeProcess({**self.settings(), **by_name(settings)}, log_file)
        self._bridges.append(bridge)
        return bridge

    def settings(self) -> GivenSettings:
        return {
            "mongo.uri": self.mongo.uri,
            "mongo.database": self.database,
            "kafka.bootstrap_servers": self.kafka.bootstrap,
            "kafka.topic": self.topic,
            "checkpoint.name": self.database,
            **self.delivery.settings(),
        }

    @cached_property
    def client(self) -> Client:
        """A client of the deployment that writes to a majority."""
        return MongoClient(self.mongo.uri, w="majority")

    def jobs(self, tag: str = "") -> JobWriter:
        """A writer of single jobs; it tags them if there is a ``tag``."""
        return JobWriter(self.client[self.database]["jobs"], tag)

    def load(self, workload: Workload = BUSY) -> Load:
        """The job service, a context manager, within the limits of the delivery mode.

        It notes nothing as sent where the mode keeps tags.
        """
        rate = self.delivery.rate or workload.rate
        workload = replace(
            workload,
            rate=min(rate, workload.rate or rate) if rate else None,
            noise=workload.noise and self.delivery.positions,
        )
        load = Load(self.mongo.uri, self.database, workload)
        self._loads.append(load)
        return load

    def run_jobs(self, workload: Workload) -> None:
        """Run the job service until its jobs have ended."""
        with self.load(workload) as load:
            load.join()

    @property
    def acknowledged(self) -> list[Commit]:
        return [commit for load in self._loads for commit in load.commits]

    @contextmanager
    def kafka_down(self) -> Iterator[float]:
        """Kill the broker and start it again at the end; yields the time of its death."""
        self._follower.leave()
        self.kafka.kill()
        try:
            yield time.time()
        finally:
            self.kafka.start()

    @contextmanager
    def kafka_paused(self) -> Iterator[None]:
        """Freeze the broker: connections stay open and nothing answers."""
        self.kafka.pause()
        try:
            yield
        finally:
            self.kafka.resume()

    @contextmanager
    def jobs_validated(self, validator: Mapping[str, Any]) -> Iterator[None]:
        """Let MongoDB refuse every write after which a job does not match ``validator``."""
        with self.mongo.client(self.mongo.primary_index()) as client:
            database = client[self.database]
            if "jobs" not in database.list_collection_names():
                database.create_collection("jobs")
            database.command("collMod", "jobs", validator=validator)
            try:
                yield
            finally:
                database.command("collMod", "jobs", validator={})

    def published_states(self, job_id: str) -> list[str]:
        """The states in the messages of a job, in order."""
        return published_states(self.kafka, self.topic, job_id)

    def origins(self) -> Counter[str]:
        """How many messages have each ``ce_origin``."""
        records = self.kafka.read(self.topic)
        return Counter((header(record, "ce_origin") or b"").decode() for record in records)

    def count(self) -> int:
        """How many messages the topic contains; cheaper than reading them."""
        return self._follower.count()

    def arrived(self) -> set[str]:
        """The ``trans_id`` of every message in the topic."""
        return {arrival.trans_id for arrival in self._follower.read()}

    def wait_for_arrival(self) -> None:
        """Wait until everything committed so far has arrived."""
        assert self.everything_arrives(), f"transitions are missing after {ARRIVAL_SECONDS:g} s"

    def everything_arrives(self, seconds: float = ARRIVAL_SECONDS) -> bool:
        """Wait until everything committed so far has arrived; False at the deadline."""
        self.witness.catch_up()
        expected = {transition.trans_id for transition in self.witness.transitions}
        end = time.monotonic() + seconds
        while not expected <= self.arrived():
            if time.monotonic() > end:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def finish(self, bridge: BridgeProcess, seconds: float = ARRIVAL_SECONDS) -> Verdict:
        """Let everything arrive, stop the bridge in order, and judge the run."""
        self.everything_arrives(seconds)  # the verdict names what is missing
        code = bridge.stop()
        assert code == 0, f"the bridge ended with {code}:\n{bridge.log_tail()}"
        return self.judge()

    def judge(self) -> Verdict:
        """Compare everything committed with everything that has arrived."""
        self.witness.catch_up()
        return judge(
            self.witness.transitions,
            self.acknowledged,
            self.saves(),
            self._follower.read(),
            positions=self.delivery.positions,
        )

    def saves(self) -> Sequence[Save]:
        """Every stored position of the run."""
        if self.delivery.store != "kafka":
            return self.witness.saves
        return stored_saves(
            self.kafka, self.topic, self.database, transactional=self.delivery.transactional
        )

    def checkpoint(self) -> Mapping[str, Any]:
        """The stored checkpoint's document; empty if there is none."""
        if self.delivery.store == "kafka":
            return stored_checkpoint(self.kafka, self.topic, self.database)
        with self.mongo.client(self.mongo.primary_index()) as client:
            return client["job_bridge"][CHECKPOINTS].find_one({"_id": self.database}) or {}

    def change_checkpoint(self, fields: Mapping[str, Any]) -> None:
        """Set fields of the stored checkpoint."""
        with self.mongo.client(self.mongo.primary_index()) as client:
            client["job_bridge"][CHECKPOINTS].update_one(
                {"_id": self.database}, {"$set": dict(fields)}
            )
