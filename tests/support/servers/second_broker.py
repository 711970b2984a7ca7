"""A second broker that holds the other replica of some topics until it is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kafka.errors import KafkaError

from bridge.demo.servers.process import Child, free_ports, listening
from tests.support.servers.jvm import JVM, LOGGING
from tests.support.servers.kafka import Kafka
from tests.support.servers.kafka_libraries import libraries

NODE = 2
START_SECONDS = 90


@contextmanager
def second_broker(first: Kafka, folder: Path) -> Iterator[None]:
    """Run a second broker; it must hold a replica of each topic before it is left."""
    folder.mkdir()
    settings = folder / "server.properties"
    ports = free_ports(2)
    settings.write_text(
        "".join(f"{name}={value}\n" for name, value in _settings(first, folder, *ports).items())
    )
    java = ["java", *JVM, *LOGGING, "-cp", f"{libraries()}/*"]
    cluster = _properties(first.folder / "data" / "meta.properties")["cluster.id"]
    format_it = [
        *java,
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster}",
        "--config",
        str(settings),
    ]
    subprocess.run(format_it, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    child = Child([*java, "kafka.Kafka", str(settings)], folder / "kafka.log")
    child.start()
    try:
        child.await_ready(lambda: _joined(first, ports), "the second broker", START_SECONDS)
        yield
    finally:
        child.kill()


def create_topic(first: Kafka, name: str, partitions: int) -> None:
    """A topic on both brokers, led by the first; timestamps are those of appending."""
    assignments = {number: [1, NODE] for number in range(partitions)}
    topic = {"assignments": assignments, "configs": {"message.timestamp.type": "LogAppendTime"}}
    with first.admin() as admin:
        admin.create_topics({name: topic}, wait_for_metadata=True)


def alone(first: Kafka, topics: Sequence[str]) -> bool:
    """Whether the second broker is gone from every partition and from the cluster's metadata.

    A busy controller may report it as out of sync while it is still alive.
    """
    try:
        with first.admin() as admin:
            described = admin.describe_topics(list(topics))
        there = _takes_part(first)
    except KafkaError:
        return False
    return not there and all(
        len(partition["isr_nodes"]) == 1 for topic in described for partition in topic["partitions"]
    )


def _takes_part(first: Kafka) -> bool:
    """Whether clients learn of the second broker; it stays registered long after its death."""
    with first.admin() as admin:
        brokers = admin.describe_cluster()["brokers"]
    return any(broker["broker_id"] == NODE and not broker["is_fenced"] for broker in brokers)


def _joined(first: Kafka, ports: Sequence[int]) -> bool:
    """Whether clients learn of the second broker and can connect to it.

    It is registered before it listens, so a client that learns of it too early fails to connect.
    """
    with suppress(KafkaError):
        return _takes_part(first) and all(map(listening, ports))
    return False


def _settings(first: Kafka, folder: Path, client: int, internal: int) -> dict[str, str]:
    listeners = f"CLIENT://127.0.0.1:{client},INTERNAL://127.0.0.1:{internal}"
    own = {
        "process.roles": "broker",
        "node.id": str(NODE),
        "log.dirs": str(folder / "data"),
        "listeners": listeners,
        "advertised.listeners": listeners,
    }
    return _properties(first.folder / "server.properties") | own


def _properties(path: Path) -> dict[str, str]:
    lines = (
        line.partition("=") for line in path.read_text().splitlines() if not line.startswith("#")
    )
    return {name: value for name, _, value in lines}
