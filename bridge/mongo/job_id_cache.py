"""Job ids: an update event names its job by ``_id`` only, so inserts are remembered and misses looked up."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import bson
from bson.objectid import ObjectId
from pymongo import collection as pymongo

#: Far more jobs than are under way at once; so bounded, memory is the same after a million jobs as after ten thousand.
MOST = 10_000

#: Says that a job id is not remembered; None is what some documents hold.
UNKNOWN = object()

#: The documents of these keys that are there, each with its job id.
Lookup = Callable[[list[Any]], Iterable[tuple[Any, Any]]]


class JobIdCache:
    """A bounded cache of ``_id`` to job id, two at least: the older half goes when ``most`` are remembered.

    What is remembered is whatever the document holds, also None or a number: whether it is a
    usable id is for the decoder to say.
    """

    def __init__(self, lookup: Lookup, most: int = MOST) -> None:
        self._lookup = lookup
        self._half = max(1, most // 2)
        #: Dropping a dict takes half the time of dropping its oldest entry again and again.
        self._latest: dict[Any, Any] = {}
        self._before: dict[Any, Any] = {}
        self.lookups = 0

    def remember(self, key: Any, job_id: Any) -> None:
        """Note the job id of the document ``key``."""
        cache_key = (
            key.binary if type(key) is ObjectId else _cache_key(key)
        )  # a call less for nearly all
        if len(self._latest) >= self._half and cache_key not in self._latest:
            self._before, self._latest = self._latest, {}
        self._latest[cache_key] = job_id

    def known(self, key: Any) -> Any:
        """The job id of the document ``key`` as remembered, else :data:`UNKNOWN`."""
        cache_key = key.binary if type(key) is ObjectId else _cache_key(key)
        return (
            self._latest[cache_key]
            if cache_key in self._latest
            else self._before.get(cache_key, UNKNOWN)
        )

    def find(self, keys: Sequence[Any], gone: Any = None) -> list[Any]:
        """Look up and remember the job ids of these documents, in one query; the id of each, ``gone`` where it is not there."""
        if not keys:
            return []
        self.lookups += 1
        cache_keys = list(map(_cache_key, keys))
        found = {}
        for key, job_id in self._lookup(list(dict(zip(cache_keys, keys, strict=True)).values())):
            found[_cache_key(key)] = job_id
            self.remember(key, job_id)
        return [found.get(cache_key, gone) for cache_key in cache_keys]


def _cache_key(key: Any) -> Any:
    """What stands for ``key`` in a dict: anything can be an ``_id``, not everything can be in a dict.

    An ObjectId compares itself in Python, which takes five times as long as its bytes do. Of other keys the BSON tells
    exactly what MongoDB does: ``true`` is not 1. It is never 12 bytes long, and no text is bytes.
    """
    kind = type(key)
    if kind is ObjectId:
        return key.binary
    return key if kind is str else bson.encode({"_id": key})


def lookup_in(collection: pymongo.Collection[dict[str, Any]], id_field: str) -> Lookup:
    """Look ids up in the collection, in one query of only that field, answered at once."""

    def lookup(keys: list[Any]) -> Iterable[tuple[Any, Any]]:
        # One more than there can be: by default the 102nd is a second answer, and with as many as there are the end may be one.
        found = collection.find(
            {"_id": {"$in": keys}}, {id_field: 1}, batch_size=len(keys) + 1
        ).to_list()
        return [(document["_id"], document.get(id_field)) for document in found]

    return lookup
