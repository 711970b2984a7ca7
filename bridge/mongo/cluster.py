"""Facts about the MongoDB deployment: kind, identity, cluster time, oplog window."""

from dataclasses import dataclass
from typing import Any

from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from bridge.errors import BridgeError
from bridge.model.position import ClusterTime
from bridge.mongo.client import Document
from bridge.mongo.errors import is_refused, translated

STANDALONE = (
    "Change streams need a replica set; one node is enough: start mongod with --replSet rs0 and "
    "run rs.initiate() once"
)

#: Sections of serverStatus that cost the server time and are not used here.
_UNUSED_SECTIONS = (
    "metrics",
    "wiredTiger",
    "tcmalloc",
    "locks",
    "repl",
    "storageEngine",
    "opLatencies",
    "opcounters",
    "network",
    "connections",
    "transactions",
    "sharding",
    "mirroredReads",
    "flowControl",
    "indexBulkBuilder",
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment.

    ``cluster_id`` is ``set/id``; the id is empty without the right to ``replSetGetConfig``.
    """

    kind: str
    version: str
    cluster_id: str
    cluster_time: ClusterTime

    @property
    def streams(self) -> bool:
        """Whether it supports change streams."""
        return self.kind != "standalone"


@dataclass(frozen=True, slots=True)
class NewestWrites:
    """The primary's newest write, and the newest that a majority has; None where not reported."""

    primary: ClusterTime | None
    majority: ClusterTime | None


class Cluster:
    """Queries the deployment. Methods raise the bridge's errors unless they return None."""

    def __init__(self, client: MongoClient[Document]) -> None:
        self._admin = client.admin

    def deployment(self) -> Deployment:
        """Return kind, version, identity and cluster time."""
        with translated():
            hello = self._admin.command("hello")
            version = str(self._admin.command("buildInfo")["version"])
            if hello.get("msg") == "isdbgrid":
                return Deployment("sharded cluster", version, "sharded/", _operation_time(hello))
            if "setName" not in hello:
                local_time = ClusterTime(int(hello["localTime"].timestamp()))
                return Deployment("standalone", version, "standalone/", local_time)
            identity = f"{hello['setName']}/{self._replica_set_id()}"
        return Deployment("replica set", version, identity, _operation_time(hello))

    def newest_writes(self) -> NewestWrites:
        """Return the newest writes that the primary reports in its ``hello``."""
        with translated():
            hello = self._admin.command("hello")
        majority = _cluster_time(hello.get("lastWrite", {}).get("majorityOpTime"))
        return NewestWrites(_last_write(hello), majority)

    def last_write(self) -> ClusterTime | None:
        """Return the cluster time of the newest write; None if no server answers."""
        try:
            return self.newest_writes().primary
        except BridgeError:
            return None

    def oldest_oplog_entry(self) -> ClusterTime | None:
        """Return the cluster time of the oplog's first entry.

        None through mongos, or without the right to ``serverStatus``.
        """
        try:
            status = self._admin.command(
                {"serverStatus": 1, "oplog": 1, **dict.fromkeys(_UNUSED_SECTIONS, 0)}
            )
        except PyMongoError:
            return None
        return _cluster_time(status.get("oplog", {}).get("earliestOptime"))

    def _replica_set_id(self) -> str:
        try:
            config = self._admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if is_refused(error):
                return ""
            raise
        return str(config.get("settings", {}).get("replicaSetId", ""))


def _operation_time(reply: Document) -> ClusterTime:
    return _cluster_time(reply.get("operationTime")) or ClusterTime(0)


def _last_write(hello: Document) -> ClusterTime | None:
    """Return the time of the last write; mongos reports only a cluster time."""
    last = _cluster_time(hello.get("lastWrite", {}).get("opTime"))
    return last or _cluster_time(hello.get("operationTime"))


def _cluster_time(value: Any) -> ClusterTime | None:
    """Convert a timestamp, or an optime document that contains a timestamp."""
    if isinstance(value, dict):
        value = value.get("ts")
    return ClusterTime(value.time, value.inc) if isinstance(value, Timestamp) else None
