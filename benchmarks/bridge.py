"""The bridge as a contender: started as an operator does."""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from bridge.demo.servers.process import Child, free_port

ROOT = Path(__file__).parents[1]
#: -P: the checkout that is asked for, not the one that is the working directory.
COMMAND = (sys.executable, "-P", "-m", "bridge", "run")


class Bridge:
    """One bridge over one collection and one topic; a context manager.

    ``start`` is Unix seconds, None for now; ``code`` is the checkout that runs. Everything else is
    as shipped: all guarantees are on.
    """

    def __init__(
        self,
        folder: Path,
        mongo_uri: str,
        database: str,
        bootstrap: str,
        topic: str,
        start: int | None,
        settings: Mapping[str, str],
        code: Path = ROOT,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._port = free_port()
        begin = "now" if start is None else datetime.fromtimestamp(start, timezone.utc).isoformat()
        given = {
            "mongo.uri": mongo_uri,
            "mongo.database": database,
            "kafka.bootstrap_servers": bootstrap,
            "kafka.topic": topic,
            **({"start.from": begin} if start is not None else {}),
            "checkpoint.name": topic,
            "http.port": str(self._port),
            "log.format": "plain",
            **settings,
        }
        self.settings = {"start.from": "the backlog's beginning" if start else "now", **settings}
        own = {
            f"JOB_BRIDGE_{name.replace('.', '_').upper()}": value for name, value in given.items()
        }
        environment = os.environ | own | {"PYTHONPATH": os.pathsep.join((str(code), str(ROOT)))}
        self._child = Child(command, folder / f"{topic}.log", environment)

    def __enter__(self) -> "Bridge":
        self._child.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    def await_ready(self) -> None:
        """Wait for ``/readyz``."""
        self._child.await_ready(self._ready, "the bridge")

    def oldest(self) -> float:
        """How long the oldest message has been in flight, in seconds."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self._port}/status.json", timeout=5
        ) as answer:
            return float(json.load(answer)["gauges"]["job_bridge_in_flight_oldest_seconds"])

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1):
                return True
        except OSError:
            return False
