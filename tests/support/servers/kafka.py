"""Apache Kafka with a single node, fetched with Maven."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import KafkaError

from bridge.demo.servers.process import (
    Child,
    ServerError,
    free_ports,
    listening,
    poll,
)
from tests.support.servers.cache import CACHE
from tests.support.servers.frozen import freeze, thaw
from tests.support.servers.jvm import JVM, LOGGING
from tests.support.servers.kafka_libraries import libraries
from tests.support.servers.proxy import TcpProxy
from tests.support.servers.records import TopicRecord, read
from tests.support.servers.throw_away import ThrowAwayServer
from tests.support.servers.topic_settings import TOPIC_SECONDS, alter, dotted, new_cluster_id
from tests.support.servers.versions import kafka_is_chosen, kafka_version

START_SECONDS = 90
RECORDING_SECONDS = 120
REQUEST_MILLIS = 10_000


def required() -> None:
    """Skip the test, with a reason, where there is no Java or Maven.

    Fails where ``CI`` is set, or where a version of Kafka was chosen.
    """
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if not missing:
        return
    reason = f"Apache Kafka needs {' and '.join(missing)} on the path"
    if os.environ.get("CI") or kafka_is_chosen():
        pytest.fail(reason)
    pytest.skip(reason)


def class_archive() -> Path:
    """Kafka's classes as the JVM shares them; halves the time and the CPU of a start.

    Recorded once by a broker that starts and stops, by one process at a time. A JVM that cannot
    record or share classes starts without them.
    """
    CACHE.mkdir(exist_ok=True)
    archive = CACHE / f"kafka-{kafka_version()}.jsa"
    with archive.with_suffix(".jsa.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.is_file():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                recorded = Path(folder) / archive.name
                broker = _RecordingKafka(Path(folder) / "kafka", recorded)
                broker.start()
                broker.stop()
                if recorded.is_file():
                    recorded.rename(archive)
    return archive


class Kafka(ThrowAwayServer):
    """One broker that is its own controller; ports and data stay the same across restarts.

    It listens for clients (``bootstrap``), for clients that come through ``proxy``, for the helpers
    below (always plain and without limits) and for the controller. With ``users`` the clients'
    listener uses SASL PLAIN and allows only what ``allow`` grants; the user ``admin`` may do
    everything.
    """

    #: How many replicas a topic has.
    replicas = 1
    #: Further options of the JVM.
    jvm: tuple[str, ...] = ()

    def __init__(
        self,
        folder: Path,
        *,
        properties: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self._properties = dict(properties or {})
        self._users = dict(users) if users is not None else None
        self._cluster_id = new_cluster_id()
        self.port, self._internal, self._proxied, self.proxy_port, self._controller = free_ports(5)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.internal = f"127.0.0.1:{self._internal}"

    @property
    def controller(self) -> str:
        """The address at which other controllers reach this one."""
        return f"127.0.0.1:{self._controller}"

    def join(self, cluster_id: str, properties: Mapping[str, str]) -> None:
        """Belong to a cluster of several nodes; before the first start."""
        self._cluster_id = cluster_id
        self._properties |= properties

    def launch(self) -> None:
        """Start the process without waiting until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._children = self._children or self._make_children()
        self._child.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def kill(self) -> None:
        """End it as a crash would."""
        self._child.kill()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        freeze(self.pid)

    def resume(self) -> None:
        """Continue it; returns when it answers and is in its own list of brokers again."""
        thaw(self.pid)
        self._await_ready()

    @property
    def _child(self) -> Child:
        if not self._children:
            raise ServerError("Kafka was not started")
        return self._children[0]

    def proxy(self) -> TcpProxy:
        """A proxy in front of the broker, for all traffic of a client with its ``address``."""
        return TcpProxy(self._proxied, port=self.proxy_port)

    def admin(self) -> KafkaAdminClient:
        """A client that may do everything; the caller closes it."""
        return KafkaAdminClient(bootstrap_servers=self.internal, request_timeout_ms=REQUEST_MILLIS)

    def create_topic(self, name: str, partitions: int = 3, **configs: str | int) -> None:
        """Make a topic, with dots in the names of ``configs`` written as underscores."""
        topic = {
            "num_partitions": partitions,
            "replication_factor": self.replicas,
            "configs": dotted(configs),
        }
        with self.admin() as admin:
            admin.create_topics({name: topic})
            # The broker learns of the topic a moment after the controller has answered.
            poll(lambda: name in admin.list_topics(), f"topic {name}", TOPIC_SECONDS)

    def delete_topic(self, name: str) -> None:
        with self.admin() as admin:
            admin.delete_topics([name])

    def alter_topic(self, name: str, **configs: str | int) -> None:
        """Change settings of a topic, with dots in their names written as underscores.

        On return the settings are in force: the broker reports a change before it applies it, but
        applies changes in order, so a second reported change means that the first is applied.
        """
        with self.admin() as admin:
            alter(admin, name, configs)

    def read(self, topic: str, *, isolation: str = "read_committed") -> list[TopicRecord]:
        """Every record of the topic at this moment, by partition and offset."""
        return read(self.internal, topic, isolation=isolation)

    def allow(self, user: str, kind: ResourceType, name: str, *operations: ACLOperation) -> None:
        """Grant ``operations`` on one resource by its full name."""
        resource = ResourcePattern(kind, name)
        grants = [
            ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, resource)
            for operation in operations
        ]
        with self.admin() as admin:
            admin.create_acls(grants)

    def know(self, users: Mapping[str, str]) -> None:
        """Users and their passwords from the next start on."""
        self._users = dict(users)
        self._write_settings()

    def _answers(self) -> bool:
        if not listening(self._internal):
            return False
        try:
            with self.admin() as admin:
                return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False

    def _await_ready(self) -> None:
        self._child.await_ready(self._answers, "Kafka", START_SECONDS)

    def _make_children(self) -> tuple[Child, ...]:
        settings = self._write_settings()
        java = ["java", *JVM, *self.jvm, self._class_sharing(), *LOGGING, "-cp", f"{libraries()}/*"]
        cluster = f"--cluster-id={self._cluster_id}"
        command = [*java, "kafka.tools.StorageTool", "format", cluster, "--config", str(settings)]
        with (self.folder / "format.log").open("wb") as log:
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
        return (Child([*java, "kafka.Kafka", str(settings)], self.folder / "kafka.log"),)

    def _class_sharing(self) -> str:
        return f"-XX:SharedArchiveFile={class_archive()}"

    def _write_settings(self) -> Path:
        settings = self.folder / "server.properties"
        settings.write_text(
            "".join(f"{name}={value}\n" for name, value in self._settings().items())
        )
        return settings

    def _settings(self) -> dict[str, str]:
        return {
            **self._listeners(),
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "num.partitions": "3",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            # A transaction that timed out is aborted soon after.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            "group.initial.rebalance.delay.ms": "0",
            # How often it looks for something to compact.
            "log.cleaner.backoff.ms": "1000",
            # A killed broker may come back only when its old session has ended.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            **(self._security() if self._users is not None else {}),
            **self._properties,
        }

    def _listeners(self) -> dict[str, str]:
        clients = "PLAINTEXT" if self._users is None else "SASL_PLAINTEXT"
        client, internal = f"CLIENT://{self.bootstrap}", f"INTERNAL://{self.internal}"
        controller = f"CONTROLLER://127.0.0.1:{self._controller}"
        protocols = f"CLIENT:{clients},PROXIED:{clients},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        return {
            "listeners": f"{client},PROXIED://127.0.0.1:{self._proxied},{internal},{controller}",
            "advertised.listeners": f"{client},PROXIED://127.0.0.1:{self.proxy_port},{internal}",
            "listener.security.protocol.map": protocols,
            "inter.broker.listener.name": "INTERNAL",
            "controller.listener.names": "CONTROLLER",
        }

    def _security(self) -> dict[str, str]:
        users = " ".join(
            f'user_{name}="{password}"' for name, password in (self._users or {}).items()
        )
        login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        return {
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.client.plain.sasl.jaas.config": login,
            "listener.name.proxied.plain.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # A client of a plain listener is anonymous: the broker itself and the helpers above.
            "super.users": "User:admin;User:ANONYMOUS",
        }


class _RecordingKafka(Kafka):
    """A broker that records its classes into ``archive`` when it stops."""

    def __init__(self, folder: Path, archive: Path) -> None:
        super().__init__(folder)
        self._archive = archive

    def stop(self) -> None:
        self._child.stop(RECORDING_SECONDS)

    def _class_sharing(self) -> str:
        # Every JVM writes the file when it ends, the broker last.
        return f"-XX:ArchiveClassesAtExit={self._archive}"
