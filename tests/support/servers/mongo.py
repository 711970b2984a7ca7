"""MongoDB for tests: replica sets of several nodes, standalones, users, and nodes that fail."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from bridge.demo.servers.mongod import mongod_command
from bridge.demo.servers.process import Child, free_ports, listening, poll
from tests.support.servers.frozen import freeze, thaw
from tests.support.servers.throw_away import ThrowAwayServer

ROOT = "admin"
STEP_DOWN_SECONDS = 10
ALREADY_INITIALIZED = 23
#: How long a stopping node lets its clients finish; the default with other nodes is 15 s.
GOODBYE_MILLIS = 100
#: The arguments of a node that can be made to fail.
FAIL_POINTS = ("--setParameter", "enableTestCommands=1")
#: Elections of about a second instead of the usual ten.
FAST_ELECTIONS = {
    "electionTimeoutMillis": 1500,
    "heartbeatIntervalMillis": 300,
    "heartbeatTimeoutSecs": 1,
}

Client = MongoClient[dict[str, Any]]


class MongoDeployment(ThrowAwayServer):
    """``nodes`` processes in one replica set; one standalone if ``replica_set`` is None.

    With ``auth`` a root user is created: ``root_uri`` contains its password, ``uri`` does not.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 1,
        replica_set: str | None = "rs0",
        arguments: Sequence[str] = (),
        auth: bool = False,
        oplog_megabytes: int = 256,
    ) -> None:
        if replica_set is None and nodes != 1:
            raise ValueError("a standalone has one node")
        super().__init__(folder)
        self.replica_set = replica_set
        self.ports = tuple(free_ports(nodes))
        self._auth = auth
        self._oplog = oplog_megabytes
        self._arguments = tuple(arguments)
        self._password = secrets.token_hex(12)
        self._initiated = False

    @property
    def uri(self) -> str:
        return self._uri("")

    @property
    def root_uri(self) -> str:
        """The URI with the root user's credentials, where there are users."""
        return self._uri(f"{ROOT}:{self._password}@" if self._auth else "")

    def kill(self, index: int = 0) -> None:
        """End one node as a crash would."""
        self._children[index].kill()

    def start_node(self, index: int = 0) -> None:
        """Start one node on its data, and wait until it is a primary or a secondary."""
        child = self._children[index]
        child.start()
        ready = self._is_member if self._initiated else self._listens
        child.await_ready(lambda: ready(index), f"mongod on port {self.ports[index]}")

    def pause(self, index: int = 0) -> None:
        """Freeze one node: connections stay open and nothing answers."""
        freeze(self.pid(index))

    def resume(self, index: int = 0) -> None:
        thaw(self.pid(index))

    def pid(self, index: int = 0) -> int:
        return self._children[index].pid

    def primary_index(self, deadline_seconds: float = 60.0) -> int:
        """The node that accepts writes; waits for a primary, raises ``ServerError``."""
        poll(lambda: self._primary() is not None, "a primary", deadline_seconds)
        index = self._primary()
        return self.primary_index(deadline_seconds) if index is None else index

    def step_down(self, seconds: int = STEP_DOWN_SECONDS) -> None:
        """Make the primary a secondary for ``seconds``; returns before the next election.

        A single node accepts no writes for ``seconds`` and then elects itself.
        """
        command = {
            "replSetStepDown": seconds,
            "secondaryCatchUpPeriodSecs": seconds - 1,
            "force": len(self.ports) == 1,
        }
        with self.client(self.primary_index()) as client:
            try:
                client.admin.command(command)
            except AutoReconnect:
                return  # it closes the connections while it steps down

    def client(self, index: int, *, timeout_millis: int = 20_000) -> Client:
        """A client of one node, as root where there are users; ``timeout_millis`` is per answer."""
        user = (
            {"username": ROOT, "password": self._password} if self._auth and self._initiated else {}
        )
        return MongoClient(
            "127.0.0.1",
            self.ports[index],
            directConnection=True,
            serverSelectionTimeoutMS=1000,
            connectTimeoutMS=500,
            socketTimeoutMS=timeout_millis,
            **user,  # type: ignore[arg-type]
        )

    def _uri(self, credentials: str) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        options = [] if self.replica_set is None else [f"replicaSet={self.replica_set}"]
        options += ["authSource=admin"] if credentials else []
        return f"mongodb://{credentials}{hosts}/" + ("?" + "&".join(options) if options else "")

    def _await_ready(self) -> None:
        nodes = range(len(self._children))
        for index in nodes:
            self.start_node(index)
        if not self._initiated:
            self._initiate()
        self.primary_index()
        poll(lambda: all(map(self._is_member, nodes)), "every node a primary or a secondary")

    def _initiate(self) -> None:
        if self.replica_set is not None:
            self._initiate_replica_set(self.replica_set)
        if self._auth:
            self._create_root()
        self._initiated = True

    def _initiate_replica_set(self, name: str) -> None:
        members = [
            {"_id": index, "host": f"127.0.0.1:{port}"} for index, port in enumerate(self.ports)
        ]
        config = {"_id": name, "members": members, "settings": FAST_ELECTIONS}
        with self.client(0) as client:
            try:
                client.admin.command("replSetInitiate", config)
            except OperationFailure as error:
                if error.code != ALREADY_INITIALIZED:
                    raise

    def _create_root(self) -> None:
        """Create the first user; MongoDB allows it from the same host without a password."""
        with self.client(self.primary_index()) as client:
            client.admin.command("createUser", ROOT, pwd=self._password, roles=["root"])

    def _listens(self, index: int) -> bool:
        return listening(self.ports[index])

    def _is_member(self, index: int) -> bool:
        state = self._hello(index)
        return bool(state.get("isWritablePrimary") or state.get("secondary"))

    def _primary(self) -> int | None:
        """The primary of the newest election: a frozen one believes in its own for a moment."""
        primaries = [
            (index, state) for index, state in self._states() if state.get("isWritablePrimary")
        ]
        return max(primaries, key=lambda node: _election(node[1]))[0] if primaries else None

    def _states(self) -> list[tuple[int, Mapping[str, Any]]]:
        running = [index for index, child in enumerate(self._children) if child.running]
        return [(index, self._hello(index)) for index in running]

    def _hello(self, index: int) -> Mapping[str, Any]:
        try:
            with self.client(index, timeout_millis=500) as client:
                return client.admin.command("hello")
        except PyMongoError:
            return {}

    def _make_children(self) -> tuple[Child, ...]:
        return tuple(self._child(index, port) for index, port in enumerate(self.ports))

    def _child(self, index: int, port: int) -> Child:
        data = self.folder / f"node-{index}"
        data.mkdir(exist_ok=True)
        command = [*mongod_command(self.folder, data, port), *self._options(), *self._arguments]
        return Child(command, self.folder / f"node-{index}.log")

    def _options(self) -> list[str]:
        goodbye = f"shutdownTimeoutMillisForSignaledShutdown={GOODBYE_MILLIS}"
        options = ["--setParameter", goodbye]
        if self.replica_set is not None:
            options += ["--replSet", self.replica_set, "--oplogSize", str(self._oplog)]
        if self._auth and self.replica_set is not None:
            options += ["--keyFile", str(self._key_file())]
        elif self._auth:
            options += ["--auth"]
        return options

    def _key_file(self) -> Path:
        path = self.folder / "keyfile"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(64))
        return path


def _election(state: Mapping[str, Any]) -> ObjectId:
    return state.get("electionId") or ObjectId("0" * 24)
