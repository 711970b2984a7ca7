"""A real MongoDB, standalone or a replica set, run from an installed package."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from bridge.demo.servers.process import Child, find_program, free_ports, listening, poll

ROOT = "admin"
STEP_DOWN_SECONDS = 10
ALREADY_INITIALIZED = 23
#: How long a stopping node lets its clients finish; by default 15 s where there are other nodes.
GOODBYE_MILLIS = 100
#: Elections of about a second, so that a fault test need not wait for the usual ten.
FAST_ELECTIONS = {
    "electionTimeoutMillis": 1500,
    "heartbeatIntervalMillis": 300,
    "heartbeatTimeoutSecs": 1,
}

Client = MongoClient[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Node:
    """One process of the deployment."""

    port: int
    child: Child


class Mongod:
    """``nodes`` processes in one replica set, or one standalone process where ``replica_set`` is ``None``.

    ``folder`` holds data and logs and is not removed. Ports stay the same for the life of
    the object, across restarts.
    With ``auth`` a root user is made: ``root_uri`` carries its password, ``uri`` carries none.
    Start it from the thread that outlives it (see ``Child``).
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
        self.folder = folder
        self.replica_set = replica_set
        self._auth = auth
        self._oplog = oplog_megabytes
        self._arguments = tuple(arguments)
        self._password = secrets.token_hex(12)
        self._initiated = False
        self.ports = tuple(free_ports(nodes))
        self._nodes: tuple[Node, ...] = ()

    def __enter__(self) -> Mongod:
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
    def uri(self) -> str:
        return self._uri("")

    @property
    def root_uri(self) -> str:
        """The same with the root user's credentials, where there are users."""
        return self._uri(f"{ROOT}:{self._password}@" if self._auth else "")

    def start(self) -> None:
        """Start every node and wait for a primary that takes writes; raises ``ServerError``."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every node, all at once, so that none waits for another."""
        for node in self._nodes:
            node.child.terminate()
        for node in self._nodes:
            node.child.stop()

    def kill(self, index: int = 0) -> None:
        """End one node as a crash would."""
        self._nodes[index].child.kill()

    def start_node(self, index: int = 0) -> None:
        """Start one node again on its data, and wait until it is a primary or a secondary."""
        node = self._nodes[index]
        node.child.start()
        ready = self._in_office if self._initiated else self._listens
        node.child.await_ready(lambda: ready(index), f"mongod on port {node.port}")

    def pause(self, index: int = 0) -> None:
        """Freeze one node: connections stay open, nothing answers."""
        self._nodes[index].child.pause()

    def resume(self, index: int = 0) -> None:
        self._nodes[index].child.resume()

    def pid(self, index: int = 0) -> int:
        return self._nodes[index].child.pid

    def primary_index(self, deadline_seconds: float = 30.0) -> int:
        """The node that takes writes now; waits for one, raises ``ServerError`` when time is over."""
        poll(lambda: self._primary() is not None, "a primary", deadline_seconds)
        found = self._primary()
        return self.primary_index(deadline_seconds) if found is None else found

    def step_down(self, seconds: int = STEP_DOWN_SECONDS) -> None:
        """Make the primary a secondary for ``seconds``; returns before another one is elected.

        A single node has nobody to hand over to: it takes no writes for ``seconds`` and then elects itself.
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
        """A client of one node alone, as root where there are users; ``timeout_millis`` bounds an answer."""
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

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._nodes:
            self._nodes = tuple(self._node(index) for index in range(len(self.ports)))
        for node in self._nodes:
            node.child.start()
        for index in range(len(self._nodes)):
            self.start_node(index)
        if not self._initiated:
            self._initiate()
        self.primary_index()
        everyone = range(len(self._nodes))
        poll(lambda: all(map(self._in_office, everyone)), "every node a primary or a secondary")

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
        """The first user may be made without a password, from the same host, on the primary."""
        with self.client(self.primary_index()) as client:
            client.admin.command("createUser", ROOT, pwd=self._password, roles=["root"])

    def _listens(self, index: int) -> bool:
        return listening(self.ports[index])

    def _in_office(self, index: int) -> bool:
        state = self._hello(index)
        return bool(state.get("isWritablePrimary") or state.get("secondary"))

    def _primary(self) -> int | None:
        """The primary of the newest election: one that was frozen still believes in its own for a moment."""
        found = [
            (index, state) for index, state in self._states() if state.get("isWritablePrimary")
        ]
        return max(found, key=lambda each: _election(each[1]))[0] if found else None

    def _states(self) -> list[tuple[int, Mapping[str, Any]]]:
        running = [index for index, node in enumerate(self._nodes) if node.child.running]
        return [(index, self._hello(index)) for index in running]

    def _hello(self, index: int) -> Mapping[str, Any]:
        try:
            with self.client(index, timeout_millis=500) as client:
                return client.admin.command("hello")
        except PyMongoError:
            return {}

    def _node(self, index: int) -> Node:
        data = self.folder / f"node-{index}"
        data.mkdir(exist_ok=True)
        program = find_program("mongod", "JOB_BRIDGE_MONGOD", "fiftyone/db/bin", self.folder)
        command = [str(program), *self._options(data, self.ports[index]), *self._arguments]
        return Node(self.ports[index], Child(command, self.folder / f"node-{index}.log"))

    def _options(self, data: Path, port: int) -> list[str]:
        options = ["--dbpath", str(data), "--port", str(port), "--bind_ip", "127.0.0.1", "--quiet"]
        options += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        options += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        options += ["--setParameter", f"shutdownTimeoutMillisForSignaledShutdown={GOODBYE_MILLIS}"]
        if self.replica_set is not None:
            options += ["--replSet", self.replica_set, "--oplogSize", str(self._oplog)]
        if self._auth:
            options += (
                ["--keyFile", str(self._key_file())] if self.replica_set is not None else ["--auth"]
            )
        return options

    def _key_file(self) -> Path:
        path = self.folder / "keyfile"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(64))
        return path


def _election(state: Mapping[str, Any]) -> ObjectId:
    return state.get("electionId") or ObjectId("0" * 24)
