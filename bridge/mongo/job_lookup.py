"""Reads the document of a job: as it is, and as it was at the time of an event."""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from bson.binary import UUID_SUBTYPE, Binary
from bson.timestamp import Timestamp
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from bridge.model.position import ClusterTime
from bridge.mongo import raw_text
from bridge.mongo.client import Document
from bridge.mongo.known_jobs import cache_key

#: InvalidOptions of a server before 5.0, SnapshotTooOld, SnapshotUnavailable.
_NO_SNAPSHOT = frozenset({72, 239, 246})
#: A UUID inside a resume token: BSON's type binary, length 16 and subtype 4 in key string form.
_UUID = re.compile("5A1004([0-9A-F]{32})")


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

    def current(self, keys: Sequence[Any], token: str = "") -> Mapping[Hashable, Document]:
        """Return the existing documents of these keys, by their cache key.

        Documents of a collection that was renamed since are read under its new name.

        Args:
            token: the resume token of an event of the collection.
        """
        if not keys:
            return {}
        found = self._find(self._collection, keys)
        missing = [key for key in keys if cache_key(key) not in found]
        renamed = self._renamed(token) if missing else None
        return found if renamed is None else {**found, **self._find(renamed, missing)}

    def renamed(self, key: Any, token: str) -> Document | None:
        """Return the document of an event whose collection was renamed, under the new name."""
        collection = self._renamed(token)
        return None if collection is None else self._find(collection, [key]).get(cache_key(key))

    def at(self, key: Any, time: ClusterTime) -> Image | None:
        """Return the document as it was at a cluster time; None if the server no longer knows.

        The server keeps ``minSnapshotHistoryWindowInSeconds``, by default five minutes (MongoDB
        manual, "read concern snapshot").
        """
        self.lookups += 1
        command = {
            "find": self._collection.name,
            "filter": raw_text.query({"_id": key}),
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

    def _find(
        self, collection: Collection[Document], keys: Sequence[Any]
    ) -> Mapping[Hashable, Document]:
        self.lookups += 1
        # A batch size above the number of documents avoids a getMore. The default is 101 documents,
        # and an exactly full batch may be followed by an empty one.
        documents = collection.find(
            raw_text.query({"_id": {"$in": list(keys)}}), self._fields, batch_size=len(keys) + 1
        ).to_list()
        return {cache_key(document["_id"]): document for document in documents}

    def _renamed(self, token: str) -> Collection[Document] | None:
        """Return the collection of an event under its present name; None if that is the same.

        A token contains the collection's UUID, which a rename within a database keeps. A document
        found there is still compared with its event, so a wrong UUID does no harm.
        """
        uuid = _UUID.search(token)
        if uuid is None:
            return None
        query = {"info.uuid": Binary(bytes.fromhex(uuid[1]), UUID_SUBTYPE)}
        try:
            infos = [*self._collection.database.list_collections(filter=query)]
        except OperationFailure:
            return None  # The user may lack the right listCollections.
        names = [info["name"] for info in infos if info["name"] != self._collection.name]
        return (
            self._collection.database.get_collection(
                names[0], codec_options=self._collection.codec_options
            )
            if names
            else None
        )
