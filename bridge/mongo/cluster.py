"""What the MongoDB deployment says of itself: kind, identity, cluster time, oplog window."""

from dataclasses import dataclass
from typing import Any

from bson.timestamp import Timestamp
from pymongo import MongoClient, timeout
from pymongo.errors import OperationFailure, PyMongoError

from bridge.errors import is_refused
from bridge.model.position import ClusterTime
from bridge.mongo.client import Document
from bridge.mongo.errors import translated

STANDALONE = (
    "Change streams need a replica set; one node is enough: start mongod with --replSet rs0 and run "
    "rs.initiate() once"
)

#: Questions asked while someone waits for a scrape: metrics must be there above all when MongoDB is not.
_SCRAPE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """``cluster_id`` is ``set/id``; the id is empty without the right to ``replSetGetConfig``."""

    kind: str
    version: str
    cluster_id: str
    cluster_time: ClusterTime

    @property
    def streams(self) -> bool:
        """Whether it has change streams."""
        return self.kind != "standalone"


class Cluster:
    """Asks the deployment. Every method raises the bridge's errors, except where it says None."""

    def __init__(self, client: MongoClient[Document]) -> None:
        self._admin = client.admin

    def deployment(self) -> Deployment:
        """Who is there."""
        with translated():
            hello = self._admin.command("hello")
            version = str(self._admin.command("buildInfo")["version"])
            if hello.get("msg") == "isdbgrid":
                return Deployment("sharded cluster", version, "sharded/", _operation_time(hello))
            if "setName" not in hello:
                return Deployment(
                    "standalone",
                    version,
                    "standalone/",
                    ClusterTime(int(hello["localTime"].timestamp())),
                )
            identity = f"{hello['setName']}/{self._set_id()}"
        return Deployment("replica set", version, identity, _operation_time(hello))

    def _set_id(self) -> str:
        try:
            settings = self._admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if is_refused(error):
                return ""
            raise
        return str(settings.get("settings", {}).get("replicaSetId", ""))

    def last_write(self) -> ClusterTime | None:
        """The cluster time of the newest write; None when nobody answers."""
        try:
            with timeout(_SCRAPE_SECONDS):
                return _last_write(self._admin.command("hello"))
        except PyMongoError:
            return None

    def oldest_oplog_entry(self) -> ClusterTime | None:
        """Where the oplog begins; None without the right to ``serverStatus``, or through mongos."""
        try:
            with timeout(_SCRAPE_SECONDS):
                status = self._admin.command(
                    {"serverStatus": 1, "oplog": 1, **dict.fromkeys(_NOT_WANTED, 0)}
                )
        except PyMongoError:
            return None
        return _time(status.get("oplog", {}).get("earliestOptime"))


#: Sections of serverStatus that cost the server something and tell nothing here.
_NOT_WANTED = (
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


def _operation_time(reply: Document) -> ClusterTime:
    return _time(reply.get("operationTime")) or ClusterTime(0)


def _last_write(hello: Document) -> ClusterTime | None:
    """Through mongos there is no last write, but a cluster time."""
    return _time(hello.get("lastWrite", {}).get("opTime")) or _time(hello.get("operationTime"))


def _time(value: Any) -> ClusterTime | None:
    """A cluster time, given as a timestamp or as an optime document around one."""
    if isinstance(value, dict):
        value = value.get("ts")
    return ClusterTime(value.time, value.inc) if isinstance(value, Timestamp) else None
