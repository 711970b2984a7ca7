"""A bridge that logs in at servers with access control."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, Self

from pymongo import MongoClient

from tests.support.bridge_process import BridgeProcess
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers import kafka
from tests.support.servers.mongo import MongoDeployment

#: The promise, and an allowance for a busy machine.
PICKED_UP_SECONDS = 60.0
BUSY_SECONDS = 30.0


class SecuredBridge:
    """A bridge with a topic and a collection of its own; ``password`` is that of both servers.

    In the values of ``settings``, ``{password}`` stands for the password's file.
    """

    def __init__(
        self, folder: Path, broker: kafka.Kafka, deployment: MongoDeployment, **settings: str
    ) -> None:
        self.name = f"rotated-{uuid.uuid4().hex[:12]}"
        self._broker = broker
        self._folder = folder / self.name
        self._folder.mkdir()
        self.password = self._folder / "password"
        self.password.write_text("first\n")
        broker.create_topic(self.name, partitions=1)
        broker.create_topic(f"{self.name}-dlq", partitions=1)
        self._client = MongoClient[dict[str, Any]](deployment.root_uri)
        self._jobs = JobWriter(self._client[self.name]["jobs"])
        self._written: list[str] = []
        given = {
            "mongo__database": self.name,
            "kafka__topic": self.name,
            "checkpoint__name": self.name,
            **{name: value.format(password=self.password) for name, value in settings.items()},
        }
        self.settings = {name.replace("__", "."): value for name, value in given.items()}
        self.process = BridgeProcess(self.settings, self._folder / "log")

    def __enter__(self) -> Self:
        self.process.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.close()
        self.process.__exit__(*error)

    def deliver(self) -> None:
        """Write a job and wait until Kafka has it."""
        self.write()
        self.await_all()

    def write(self) -> None:
        self._written.append(self._jobs.add_good())

    def await_all(self, seconds: float = PICKED_UP_SECONDS + BUSY_SECONDS) -> None:
        def acked() -> bool:
            count: int = self.process.status()["counters"]["acked"]
            return count >= len(GOOD) * len(self._written)

        self.process.wait_for(acked, "all messages", seconds)

    def finish(self) -> None:
        assert self.process.stop() == 0
        for job_id in self._written:
            assert published_states(self._broker, self.name, job_id) == list(GOOD)
