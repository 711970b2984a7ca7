"""Debezium in a distributed worker of Kafka Connect with exactly-once source support (KIP-618).

Standalone workers do not have this support, and the MongoDB Kafka connector 2.0.1 does not declare
it. Messages and offsets are in one transaction for each batch that the connector returns.
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.connect import (
    connector_settings,
    tuned_settings,
    worker_process,
    worker_settings,
    write_properties,
)
from benchmarks.world import Route
from bridge.demo.servers.process import free_port, poll

_KIND = "debezium"
EXACTLY_ONCE = {
    "exactly.once.support": "required",
    "transaction.boundary": "poll",
}
_START_SECONDS = 180.0
_REQUEST_SECONDS = 60.0
#: From a running task to the open change stream.
_STREAM_SECONDS = 5.0


class ExactlyOnceConnect:
    """A worker with a single connector; a context manager.

    ``state`` is the folder of its offsets, created if missing. They are in a topic of the worker,
    so they are read at the end and set at the next start by requests to the worker.
    """

    def __init__(self, route: Route, state: Path, *, variant: str = "throughput") -> None:
        self.settings = tuned_settings(_KIND, variant) | EXACTLY_ONCE
        state.mkdir(parents=True, exist_ok=True)
        self._offsets = state / "offsets.json"
        self._port = free_port()
        self._connector = self.settings | connector_settings(_KIND, route)
        worker = worker_settings(_KIND, route, self._port) | _cluster(f"connect-{route.topic}")
        file = write_properties(route.world.folder / f"{route.topic}-worker.properties", worker)
        self._child = worker_process(_KIND, "ConnectDistributed", route, [file])

    def __enter__(self) -> "ExactlyOnceConnect":
        self._child.start()
        try:
            self._create()
        except BaseException:
            self._child.stop(20.0)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and not self._offsets.exists():
                stored = self._request("GET", f"/connectors/{_KIND}/offsets")
                self._offsets.write_text(json.dumps(stored))
        finally:
            self._child.stop(20.0)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    def await_ready(self) -> None:
        """Wait until the task runs and has had time to open the change stream."""
        poll(self._task_runs, "the task of the connector", _START_SECONDS)
        time.sleep(_STREAM_SECONDS)

    def _create(self) -> None:
        """Create the connector, and let it continue at the stored offsets, if there are any."""
        self._child.await_ready(self._answers, "Kafka Connect", _START_SECONDS)
        body = {"name": _KIND, "config": self._connector}
        if not self._offsets.exists():
            self._request("POST", "/connectors", body)
            return
        self._request("POST", "/connectors", body | {"initial_state": "STOPPED"})
        poll(lambda: self._state() == "STOPPED", "the stopped connector", _START_SECONDS)
        stored = json.loads(self._offsets.read_text())
        self._request("PATCH", f"/connectors/{_KIND}/offsets", stored)
        self._request("PUT", f"/connectors/{_KIND}/resume")

    def _answers(self) -> bool:
        try:
            self._request("GET", "/connectors")
        except OSError:
            return False
        return True

    def _state(self) -> str:
        return str(self._status().get("connector", {}).get("state"))

    def _task_runs(self) -> bool:
        return [task["state"] for task in self._status().get("tasks", [])] == ["RUNNING"]

    def _status(self) -> Mapping[str, Any]:
        try:
            answer = self._request("GET", f"/connectors/{_KIND}/status")
        except OSError:  # Not found, until the worker has read its own topics.
            return {}
        return answer if isinstance(answer, dict) else {}

    def _request(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as answer:
            return json.loads(answer.read() or "null")


def _cluster(name: str) -> dict[str, str]:
    """The settings of a cluster with a single worker, on a single broker."""
    topics = {
        f"{topic}.storage.{setting}": value
        for topic in ("config", "offset", "status")
        for setting, value in (
            ("topic", f"{name}-{topic}"),
            ("replication.factor", "1"),
            ("partitions", "1"),
        )
        if (topic, setting) != ("config", "partitions")
    }
    return topics | {
        "group.id": name,
        "exactly.once.source.support": "enabled",
        "scheduled.rebalance.max.delay.ms": "0",
    }
