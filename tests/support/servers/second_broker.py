"""A second broker that holds the other replica of some topics until it is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kafka.errors import KafkaError, TopicAlreadyExistsError

from bridge.demo.servers.process import Child, free_ports, poll
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
    settings.write_text(
        "".join(f"{name}={value}\n" for name, value in _settings(first, folder).items())
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
        child.await_ready(lambda: _joined(first), "the second broker", START_SECONDS)
        yield
    finally:
        child.kill()


def create_topic(first: Kafka, name: str, partitions: int) -> None:
    """A topic on both brokers, led by the first; timestamps are those of appending."""
    assignments = {number: [1, NODE] for number in range(partitions)}
    topic = {"assignments": assignments, "configs": {"message.timestamp.type": "LogAppendTime"}}

    def created() -> bool:
        # The new broker is registered before it listens, so a client may fail to connect to it.
        try:
            with first.admin() as admin:
                admin.create_topics({name: topic}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            return True
        except KafkaError:
            return False
        return True

    poll(created, f"the topic {name}", START_SECONDS)


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


def _joined(first: Kafka) -> bool:
    with suppress(KafkaError):  # the metadata may contain a broker that does not listen yet
        return _takes_part(first)
    return False


def _settings(first: Kafka, folder: Path) -> dict[str, str]:
    client, internal = free_ports(2)
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
