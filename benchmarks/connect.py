"""Kafka Connect with a source connector, as a contender; here its standalone worker.

Maven Central delivers everything into ``.cache``. The settings were tuned in good faith: large
batches for the backlog, no linger for latency. The heap is that of Kafka's own start script.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.results import ROOT
from benchmarks.world import Route
from bridge.demo.servers.process import Child, free_port

CACHE = ROOT / ".cache" / "connect"
KAFKA = "4.2.0"
WORKER = (
    f"org.apache.kafka:connect-runtime:{KAFKA}",
    f"org.apache.kafka:connect-json:{KAFKA}",
    f"org.apache.kafka:connect-transforms:{KAFKA}",
)
PLUGINS = {
    "mongodb": ("org.mongodb.kafka:mongo-kafka-connect:2.0.1",),
    "debezium": ("io.debezium:debezium-connector-mongodb:3.6.1.Final",),
}
NAMES = {
    "mongodb": "MongoDB Kafka connector 2.0.1",
    "debezium": "Debezium MongoDB connector 3.6.1.Final",
    "debezium-exactly-once": "Debezium MongoDB connector 3.6.1.Final, exactly-once",
}

HEAP = ("-Xms256M", "-Xmx2G")
PRODUCER = {
    "acks": "all",
    "enable.idempotence": "true",
    "batch.size": "262144",
    "linger.ms": "5",
    "buffer.memory": "67108864",
}
CONVERTERS = {
    "mongodb": {
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    },
    "debezium": {
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
    },
}
TUNED: Mapping[str, Mapping[str, str]] = {
    "mongodb": {
        "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
        "collection": "jobs",
        "output.format.key": "json",
        "output.format.value": "json",
        "poll.await.time.ms": "10",
        "poll.max.batch.size": "1000",
        "batch.size": "1000",
    },
    "debezium": {
        "connector.class": "io.debezium.connector.mongodb.MongoDbConnector",
        "topic.prefix": "bench",
        "snapshot.mode": "no_data",
        "capture.scope": "collection",
        "capture.mode": "change_streams",
        "tombstones.on.delete": "false",
        "max.batch.size": "4096",
        "max.queue.size": "16384",
        "poll.interval.ms": "5",
        "cursor.max.await.time.ms": "50",
    },
}
#: A change event does not contain the job id: only the document does.
LOOKUP = {
    "mongodb": {"change.stream.full.document": "updateLookup"},
    "debezium": {"capture.mode": "change_streams_update_full"},
}


class Connect:
    """A worker with a single connector; a context manager.

    ``state`` is the folder of its offsets, created if missing.
    """

    def __init__(
        self, kind: str, route: Route, state: Path, *, variant: str = "throughput"
    ) -> None:
        self.settings = tuned_settings(kind, variant)
        state.mkdir(parents=True, exist_ok=True)
        properties = {
            "worker": self._worker(kind, route, state),
            "connector": self.settings | connector_settings(kind, route),
        }
        files = [
            write_properties(route.world.folder / f"{route.topic}-{name}.properties", settings)
            for name, settings in properties.items()
        ]
        self._child = worker_process(kind, "ConnectStandalone", route, files)

    @staticmethod
    def _worker(kind: str, route: Route, state: Path) -> dict[str, str]:
        return worker_settings(kind, route, free_port()) | {
            "offset.storage.file.filename": str(state / "offsets"),
            "offset.flush.interval.ms": "1000",
        }

    def __enter__(self) -> "Connect":
        self._child.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop(20.0)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running


def tuned_settings(kind: str, variant: str) -> dict[str, str]:
    """The settings of a connector that the report lists."""
    producer = PRODUCER | ({"linger.ms": "0"} if variant == "latency" else {})
    chosen = {**TUNED[kind], **(LOOKUP[kind] if variant == "lookup" else {})}
    return chosen | {f"producer.override.{name}": value for name, value in producer.items()}


def connector_settings(kind: str, route: Route) -> dict[str, str]:
    """The settings of a connector that depend on its route."""
    own = {"name": kind, "tasks.max": "1"}
    if kind == "mongodb" and route.start is not None:
        own |= {
            "startup.mode": "timestamp",
            "startup.mode.timestamp.start.at.operation.time": str(route.start),
        }
    return CONVERTERS[kind] | own | _source_and_target(kind, route)


def worker_settings(kind: str, route: Route, port: int) -> dict[str, str]:
    """The settings that each kind of worker needs."""
    return {
        "bootstrap.servers": route.world.kafka.bootstrap,
        "listeners": f"http://127.0.0.1:{port}",
        "plugin.path": str(CACHE / "plugins"),
        "plugin.discovery": "only_scan",
        "connector.client.config.override.policy": "All",
        **CONVERTERS[kind],
    }


def worker_process(kind: str, main: str, route: Route, files: Sequence[str]) -> Child:
    """A worker that has not been started; ``main`` is the class in Connect's ``cli`` package."""
    java = ["java", *HEAP, "-cp", f"{libraries(kind)}/*"]
    command = [*java, f"org.apache.kafka.connect.cli.{main}", *files]
    return Child(command, route.world.folder / f"{route.topic}.log")


def libraries(kind: str) -> Path:
    """The folder of the worker's jars; fetches them and the connector's if missing."""
    for target, artifacts in (
        (CACHE / "worker", WORKER),
        (CACHE / "plugins" / kind, PLUGINS[kind]),
    ):
        if not (target / ".complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            _fetch(target, artifacts)
            (target / ".complete").touch()
    return CACHE / "worker"


def _fetch(target: Path, artifacts: tuple[str, ...]) -> None:
    target.mkdir(parents=True)
    logger = ("org.slf4j:slf4j-simple:1.7.36",) if target.name == "worker" else ()
    entries = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, name, version in (artifact.split(":") for artifact in (*artifacts, *logger))
    )
    pom = target / "pom.xml"
    pom.write_text(
        "<project><modelVersion>4.0.0</modelVersion>"
        "<groupId>x</groupId><artifactId>x</artifactId><version>1</version>"
        f"<dependencies>{entries}</dependencies></project>"
    )
    command = [
        "mvn",
        "-q",
        "-f",
        str(pom),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={target}",
        "-DincludeScope=runtime",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=900)


def _source_and_target(kind: str, route: Route) -> dict[str, str]:
    uri = route.world.mongod.uri
    if kind == "mongodb":
        return {
            "connection.uri": uri,
            "database": route.database,
            "topic.namespace.map": f'{{"*": "{route.topic}"}}',
        }
    return {
        "mongodb.connection.string": uri,
        "capture.target": f"{route.database}.jobs",
        "collection.include.list": f"{route.database}.jobs",
        "transforms": "topic",
        "transforms.topic.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.topic.regex": ".*",
        "transforms.topic.replacement": route.topic,
    }


def write_properties(path: Path, settings: Mapping[str, str]) -> str:
    """Write a worker's or a connector's settings; return the path."""
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return str(path)
