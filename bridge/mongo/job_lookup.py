"""Reads the document of a job: as it is, and as it was at the time of an event."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from bson.timestamp import Timestamp
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from bridge.model.position import ClusterTime
from bridge.mongo.client import Document
from bridge.mongo.known_jobs import cache_key

#: InvalidOptions of a server before 5.0, SnapshotTooOld, SnapshotUnavailable.
_NO_SNAPSHOT = frozenset({72, 239, 246})


class Image(NamedTuple):
    """A document at a cluster time; None if it did not exist then."""

    document: Document | None


class JobLookup:
    """Reads documents by their ``_id``.

    Attributes:
        lookups: how many queries were made.
    """

    def __init__(self, collection: Collection[Document], fields: Document) -> None:
        """Create a lookup; ``fields`` is the projection of each query."""
        self._collection = collection
        self._fields = fields
        self.lookups = 0

    def current(self, keys: Sequence[Any]) -> Mapping[Hashable, Document]:
        """Return the existing documents of these keys, by their cache key, by a single query."""
        if not keys:
            return {}
        self.lookups += 1
        # A batch size above the number of documents avoids a getMore. The default is 101 documents,
        # and an exactly full batch may be followed by an empty one.
        documents = self._collection.find(
            {"_id": {"$in": list(keys)}}, self._fields, batch_size=len(keys) + 1
        ).to_list()
        return {cache_key(document["_id"]): document for document in documents}

    def at(self, key: Any, time: ClusterTime) -> Image | None:
        """Return the document as it was at a cluster time; None if the server no longer knows.

        The server keeps ``minSnapshotHistoryWindowInSeconds``, by default five minutes (MongoDB
        manual, "read concern snapshot").
        """
        self.lookups += 1
        command = {
            "find": self._collection.name,
            "filter": {"_id": key},
            "projection": self._fields,
            "limit": 1,
            "readConcern": {"level": "snapshot", "atClusterTime": Timestamp(*time)},
        }
        try:
            reply = self._collection.database.command(
                command, codec_options=self._collection.codec_options
            )
        except OperationFailure as error:
            if error.code in _NO_SNAPSHOT:
                return None
            raise
        return Image(next(iter(reply["cursor"]["firstBatch"]), None))
