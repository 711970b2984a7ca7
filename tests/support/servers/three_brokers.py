"""Three brokers that are controllers as well, and restart one after the other."""

from __future__ import annotations

from pathlib import Path

from kafka.errors import KafkaError

from bridge.demo.servers.process import Child, poll
from tests.support.servers.kafka import Kafka
from tests.support.servers.topic_settings import new_cluster_id

NODES = 3
START_SECONDS = 180.0
REPLICATED = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
}


class ThreeBrokers(Kafka):
    """A cluster with the interface of a single broker."""

    replicas = NODES

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.nodes = [Kafka(folder / f"node-{number}") for number in range(1, NODES + 1)]
        cluster_id = new_cluster_id()
        voters = ",".join(f"{n}@{node.controller}" for n, node in enumerate(self.nodes, 1))
        quorum = {**REPLICATED, "controller.quorum.voters": voters}
        for number, node in enumerate(self.nodes, 1):
            node.join(cluster_id, {**quorum, "node.id": str(number)})
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes)
        self.internal = ",".join(node.internal for node in self.nodes)

    def start(self) -> None:
        """Start all nodes: a single one has no quorum."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for node in self.nodes:
                node.launch()
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill all: each node would wait for the others to stop in order."""
        self.leave()

    def leave(self) -> None:
        for node in self.nodes:
            node.kill()

    def restart(self, index: int, *, orderly: bool) -> None:
        """Stop or kill a node, start it, and wait until every replica is in sync."""
        if orderly:
            self.nodes[index].stop()
        else:
            self.nodes[index].kill()
        # A node that is back at once would still count as in sync.
        poll(lambda: not self._in_sync(), "replicas out of sync", START_SECONDS)
        self.nodes[index].launch()
        self._await_ready()
        poll(self._in_sync, "every replica in sync", START_SECONDS)

    def _in_sync(self) -> bool:
        try:
            with self.admin() as admin:
                topics = admin.describe_topics()
        except KafkaError:
            return False
        return all(
            len(partition["isr_nodes"]) == NODES
            for topic in topics
            for partition in topic["partitions"]
        )

    def _answers(self) -> bool:
        try:
            with self.admin() as admin:
                brokers = admin.describe_cluster()["brokers"]
        except KafkaError:
            return False
        return len([broker for broker in brokers if not broker.get("is_fenced")]) == NODES

    def _await_ready(self) -> None:
        poll(self._answers, "three brokers", START_SECONDS)

    def _make_children(self) -> tuple[Child, ...]:
        return ()
