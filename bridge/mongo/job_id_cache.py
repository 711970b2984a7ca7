"""Job ids by document: an update event contains only ``_id``, so inserts are remembered."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bson.objectid import ObjectId
from pymongo import collection as pymongo

from bridge.mongo import raw_text

#: Far more jobs than run at once. The limit keeps memory constant however many jobs follow.
MAX_JOBS = 10_000

#: The job id of a document that is not in the cache; None is a value that documents contain.
UNKNOWN = object()

#: Returns the existing documents of these keys, each with its job id.
Lookup = Callable[[list[Any]], Iterable[tuple[Any, Any]]]


class JobIdCache:
    """A cache of ``_id`` to job id, which drops its older half when full.

    It stores any value that the document contains, also None or a number; the decoder decides
    whether that is a usable job id.

    Args:
        max_jobs: the limit; at least two jobs are kept.
    """

    def __init__(self, lookup: Lookup, max_jobs: int = MAX_JOBS) -> None:
        self._lookup = lookup
        self._half = max(1, max_jobs // 2)
        # Dropping a dict takes half the time of dropping its oldest entries individually.
        self._newer: dict[Any, Any] = {}
        self._older: dict[Any, Any] = {}
        self.lookups = 0

    def remember(self, key: Any, job_id: Any) -> None:
        """Store the job id of the document ``key``."""
        # Inlined for ObjectId, nearly every key: saves a call per event.
        cache_key = key.binary if type(key) is ObjectId else _cache_key(key)
        if len(self._newer) >= self._half and cache_key not in self._newer:
            self._older = self._newer
            self._newer = {}
        self._newer[cache_key] = job_id

    def cached(self, key: Any) -> Any:
        """Return the cached job id of the document ``key``, or :data:`UNKNOWN`."""
        cache_key = key.binary if type(key) is ObjectId else _cache_key(key)
        if cache_key in self._newer:
            return self._newer[cache_key]
        return self._older.get(cache_key, UNKNOWN)

    def look_up(self, keys: Sequence[Any], deleted: Any = None) -> list[Any]:
        """Return and remember the job ids of these documents, by a single query.

        Args:
            deleted: returned for a document that does not exist.
        """
        if not keys:
            return []
        self.lookups += 1
        cache_keys = list(map(_cache_key, keys))
        job_ids = {}
        for key, job_id in self._lookup(list(dict(zip(cache_keys, keys, strict=True)).values())):
            job_ids[_cache_key(key)] = job_id
            self.remember(key, job_id)
        return [job_ids.get(cache_key, deleted) for cache_key in cache_keys]


def _cache_key(key: Any) -> Any:
    """Return a hashable value that is equal for equal ``_id`` values only.

    An ObjectId is replaced by its bytes, because it compares itself in Python, five times slower.
    Any other type but text is replaced by its BSON, which distinguishes as MongoDB does: ``true``
    is not 1. BSON of a document is never 12 bytes long, so it equals no ObjectId.
    """
    kind = type(key)
    if kind is ObjectId:
        return key.binary
    return key if kind is str else raw_text.encode({"_id": key})


def make_lookup(collection: pymongo.Collection[dict[str, Any]], id_field: str) -> Lookup:
    """Return a lookup in the collection: one query of ``id_field`` with a single reply."""

    def lookup(keys: list[Any]) -> Iterable[tuple[Any, Any]]:
        # A batch size above the number of documents avoids a getMore. The default is 101 documents,
        # and an exactly full batch may be followed by an empty one.
        documents = collection.find(
            raw_text.query({"_id": {"$in": keys}}), {id_field: 1}, batch_size=len(keys) + 1
        ).to_list()
        return [(document["_id"], document.get(id_field)) for document in documents]

    return lookup
