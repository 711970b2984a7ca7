"""A real MongoDB, run from an installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bridge.demo.servers.process import Child, Server, find_program, free_port, listening, poll

REPLICA_SET = "rs0"


def mongod_command(folder: Path, data: Path, port: int) -> list[str]:
    """The command that runs a small mongod without a Unix socket."""
    program = find_program("mongod", "JOB_BRIDGE_MONGOD", "fiftyone/db/bin", folder)
    network = ["--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    small = ["--quiet", "--wiredTigerCacheSizeGB", "0.25"]
    small += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
    return [str(program), "--dbpath", str(data), *network, *small]


class Mongod(Server):
    """A replica set with a single node."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}"

    def _make_children(self) -> tuple[Child, ...]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        options = ["--replSet", REPLICA_SET, "--oplogSize", "256"]
        command = [*mongod_command(self.folder, data, self.port), *options]
        return (Child(command, self.folder / "mongod.log"),)

    def _await_ready(self) -> None:
        self._children[0].await_ready(lambda: listening(self.port), f"mongod on port {self.port}")
        with self._client() as client:
            if "setName" not in client.admin.command("hello"):
                members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        poll(self._primary, "a primary")

    def _primary(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=5000
        )
