"""mq-bridge, an engine in Rust with bindings for Python, as a contender.

``python -m benchmarks.mqbridge ROUTE`` runs a route, given as JSON, until it is told to stop.
"""

import json
import os
import signal
import sys
from pathlib import Path

from benchmarks.bridge import ROOT
from bridge.demo.servers.process import Child

#: What the documentation recommends for throughput; the producer is librdkafka's.
ROUTE = {"batch_size": 1000}
PRODUCER = {"acks": "all", "enable.idempotence": "true", "linger.ms": "5"}
#: What is other for latency: a change event waits until its batch is full.
AT_ONCE, AT_ONCE_PRODUCER = {"batch_size": 1}, {"linger.ms": "0"}


class MqBridge:
    """One route from a change stream to a topic; a context manager. ``state`` is the folder of its cursor."""

    def __init__(
        self,
        folder: Path,
        mongo_uri: str,
        database: str,
        bootstrap: str,
        topic: str,
        state: Path,
        *,
        variant: str = "throughput",
    ) -> None:
        state.mkdir(parents=True, exist_ok=True)
        at_once = variant == "latency"
        options = PRODUCER | (AT_ONCE_PRODUCER if at_once else {})
        own = ROUTE | (AT_ONCE if at_once else {})
        self.settings = {name: str(value) for name, value in own.items()} | {
            f"producer_options.{k}": v for k, v in options.items()
        }
        route = {
            **own,
            "input": {
                "mongodb": {
                    "url": mongo_uri,
                    "database": database,
                    "collection": "jobs",
                    "consume": "capture_new",
                    "cursor_id": "bench",
                    "checkpoint_store": f"file://{state / 'cursors.json'}",
                }
            },
            "output": {
                "kafka": {
                    "url": bootstrap,
                    "topic": topic,
                    "producer_options": [list(one) for one in options.items()],
                }
            },
        }
        command = [sys.executable, "-m", "benchmarks.mqbridge", json.dumps(route)]
        self._child = Child(
            command, folder / f"{topic}.log", os.environ | {"PYTHONPATH": str(ROOT)}
        )

    def __enter__(self) -> "MqBridge":
        self._child.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop(10.0)

    @property
    def pid(self) -> int:
        return self._child.pid


if __name__ == "__main__":
    from mq_bridge import Route

    route = Route.from_config(json.loads(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda *_: route.stop())
    route.start()
    route.join()
