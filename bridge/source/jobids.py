"""Job ids: an update event names its job by ``_id`` only, so inserts are remembered and misses looked up."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pymongo import collection as pymongo

#: Far more jobs than are under way at once; so bounded, memory is the same after a million jobs as after ten thousand.
MOST = 10_000

#: Says that a job id is not remembered; None is what some documents hold.
UNKNOWN = object()

Lookup = Callable[[list[Any]], Mapping[Any, Any]]


class JobIds:
    """A bounded cache of ``_id`` to job id; the oldest entries go first.

    What is remembered is whatever the document holds, also None or a number: whether it is a
    usable id is for the decoder to say.
    """

    def __init__(self, lookup: Lookup, most: int = MOST) -> None:
        self._lookup = lookup
        self._most = most
        #: A plain dict looks longer for its oldest entry the more were taken from its front.
        self._known: OrderedDict[Any, Any] = OrderedDict()
        self.lookups = 0

    def remember(self, key: Any, job_id: Any) -> None:
        """Note the job id of the document ``key``."""
        self._known[key] = job_id
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def known(self, key: Any) -> Any:
        """The job id of the document ``key`` as remembered, else :data:`UNKNOWN`."""
        return self._known.get(key, UNKNOWN)

    def find(self, keys: Collection[Any]) -> Mapping[Any, Any]:
        """Look up and remember the job ids of these documents, in one query; those that are gone are not in the answer."""
        if not keys:
            return {}
        self.lookups += 1
        found = self._lookup(list(keys))
        for key, job_id in found.items():
            self.remember(key, job_id)
        return found


def lookup_in(collection: pymongo.Collection[dict[str, Any]], id_field: str) -> Lookup:
    """Look ids up in the collection, in one query of only that field."""

    def lookup(keys: list[Any]) -> Mapping[Any, Any]:
        found = collection.find({"_id": {"$in": keys}}, {id_field: 1})
        return {document["_id"]: document.get(id_field) for document in found}

    return lookup
