"""Job ids: an update event names its job by ``_id`` only, so inserts are remembered and misses looked up."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pymongo.collection import Collection

#: Far more jobs than are under way at once; so bounded, memory is the same after a million jobs as after ten thousand.
MOST = 10_000

Lookup = Callable[[list[Any]], Mapping[Any, Any]]


class JobIds:
    """A bounded cache of ``_id`` to job id; the oldest entries go first.

    What is remembered is whatever the document holds, also None or a number: whether it is a
    usable id is for the decoder to say.
    """

    def __init__(self, lookup: Lookup, most: int = MOST) -> None:
        self._lookup = lookup
        self._most = most
        self._known: dict[Any, Any] = {}
        self.lookups = 0

    def remember(self, key: Any, job_id: Any) -> None:
        """Note the job id of the document ``key``."""
        if len(self._known) >= self._most and key not in self._known:
            del self._known[next(iter(self._known))]
        self._known[key] = job_id

    def find(self, keys: Iterable[Any]) -> Mapping[Any, Any]:
        """The job ids of these documents; those that are gone are not in the answer. One query at most."""
        wanted = set(keys)
        found = {key: self._known[key] for key in wanted if key in self._known}
        missing = [key for key in wanted if key not in found]
        if missing:
            self.lookups += 1
            for key, job_id in self._lookup(missing).items():
                found[key] = job_id
                self.remember(key, job_id)
        return found


def lookup_in(collection: Collection[dict[str, Any]], id_field: str) -> Lookup:
    """Look ids up in the collection, in one query of only that field."""

    def lookup(keys: list[Any]) -> Mapping[Any, Any]:
        found = collection.find({"_id": {"$in": keys}}, {id_field: 1})
        return {document["_id"]: document.get(id_field) for document in found}

    return lookup
