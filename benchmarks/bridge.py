"""The bridge as a contender, started like an operator starts it."""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.results import ROOT
from benchmarks.world import Route
from bridge.demo.servers.process import Child, free_port

#: ``-P`` keeps the working directory off the path: only the chosen checkout is imported.
COMMAND = (sys.executable, "-P", "-m", "bridge", "run")


class MeasuredBridge:
    """A bridge over a collection and a topic; a context manager.

    Args:
        route: the collection and the topic.
        settings: on top of the defaults; all guarantees are on.
        code: the checkout to run.
        command: the Python command that starts it.
    """

    def __init__(
        self,
        route: Route,
        settings: Mapping[str, str],
        *,
        code: Path = ROOT,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.port = free_port()
        given = {
            "mongo.uri": route.world.mongod.uri,
            "mongo.database": route.database,
            "kafka.bootstrap_servers": route.world.kafka.bootstrap,
            "kafka.topic": route.topic,
            "checkpoint.name": route.topic,
            "http.port": str(self.port),
            "log.format": "plain",
        }
        if route.start is not None:
            start = datetime.fromtimestamp(route.start, timezone.utc)
            given["start.from"] = start.isoformat()
        path = {"PYTHONPATH": os.pathsep.join((str(code), str(ROOT)))}
        environment = os.environ | variables(given | dict(settings)) | path
        self._child = Child(command, route.world.folder / f"{route.topic}.log", environment)

    def __enter__(self) -> "MeasuredBridge":
        self._child.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    def await_ready(self) -> None:
        """Wait for ``/readyz``."""
        self._child.await_ready(self._ready, "the bridge")

    def oldest_in_flight(self) -> float:
        """Seconds for which the oldest message has been in flight."""
        url = f"http://127.0.0.1:{self.port}/status.json"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return float(json.load(answer)["gauges"]["job_bridge_in_flight_oldest_seconds"])

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1):
                return True
        except OSError:
            return False


def variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of these settings."""
    return {
        f"JOB_BRIDGE_{name.replace('.', '_').upper()}": value for name, value in settings.items()
    }
