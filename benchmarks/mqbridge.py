"""mq-bridge, an engine in Rust with Python bindings, as a contender.

``python -m benchmarks.mqbridge ROUTE`` runs a route, given as JSON, until SIGTERM.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.results import ROOT
from benchmarks.world import Route
from bridge.demo.servers.process import Child

#: Recommended by its documentation for throughput; the producer is librdkafka's.
BATCHES = {"batch_size": 1000}
PRODUCER = {"acks": "all", "enable.idempotence": "true", "linger.ms": "5"}
#: For latency: otherwise a change event waits until its batch is full.
BATCHES_FOR_LATENCY = {"batch_size": 1}
PRODUCER_FOR_LATENCY = {"linger.ms": "0"}


class MqBridge:
    """A route from a change stream to a topic; a context manager.

    ``state`` is the folder of its cursor, created if missing.
    """

    def __init__(self, route: Route, state: Path, *, variant: str = "throughput") -> None:
        state.mkdir(parents=True, exist_ok=True)
        latency = variant == "latency"
        batches = BATCHES_FOR_LATENCY if latency else BATCHES
        producer = PRODUCER | (PRODUCER_FOR_LATENCY if latency else {})
        self.settings = {name: str(value) for name, value in batches.items()} | {
            f"producer_options.{name}": value for name, value in producer.items()
        }
        config = json.dumps({**batches, **_source_and_target(route, state, producer)})
        self._child = Child(
            [sys.executable, "-m", "benchmarks.mqbridge", config],
            route.world.folder / f"{route.topic}.log",
            os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def __enter__(self) -> "MqBridge":
        self._child.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop(10.0)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running


def _source_and_target(route: Route, state: Path, producer: dict[str, str]) -> dict[str, Any]:
    mongodb = {
        "url": route.world.mongod.uri,
        "database": route.database,
        "collection": "jobs",
        "consume": "capture_new",
        "cursor_id": "bench",
        "checkpoint_store": f"file://{state / 'cursors.json'}",
    }
    kafka = {
        "url": route.world.kafka.bootstrap,
        "topic": route.topic,
        "producer_options": [list(option) for option in producer.items()],
    }
    return {"input": {"mongodb": mongodb}, "output": {"kafka": kafka}}


if __name__ == "__main__":
    from mq_bridge import Route as MqRoute

    running = MqRoute.from_config(json.loads(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda *_: running.stop())
    running.start()
    running.join()
