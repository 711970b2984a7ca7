"""The sweep of tags in a collection: its count, its indexes and its permissions."""

from collections.abc import Sequence

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError

from bridge.errors import Misconfigured
from bridge.hints import Hint
from bridge.mongo.client import Document
from bridge.mongo.errors import classify
from bridge.mongo.query_plans import uses_partial_index
from bridge.mongo.tag_queries import (
    Sweepable,
    find_tagged,
    index_exists,
    update_tags,
    with_majority,
)

#: IndexOptionsConflict: MongoDB's reply if the same index exists under another name.
_OTHER_NAME = 85


class TagSweep:
    """Prepares and counts a sweep; the tags themselves yield the transitions to send."""

    def __init__(self, collection: Collection[Document], tags: Sweepable) -> None:
        self._collection = with_majority(collection)
        self._tags = tags

    def count(self, before: float) -> int:
        """Return how many jobs have tags older than ``before`` (Unix seconds)."""
        return sum(1 for _ in find_tagged(self._collection, self._tags, before, {"_id": 1}))

    def missing_indexes(self) -> Sequence[str]:
        """Return the names of the indexes that a sweep lacks.

        An index is not missing if the service has a partial index of the same tagged jobs.
        """
        missing: dict[str, None] = {}
        for search in self._tags.searches(0.0):
            name = search.index_name
            # MongoDB accepts any hint for a missing collection, but its plan then reads no index.
            options = {"hint": name} if index_exists(self._collection, name) else {}
            if not uses_partial_index(self._collection, search.query, **options):
                missing[name] = None
        return [*missing]

    def create_indexes(self, names: Sequence[str]) -> None:
        """Create the indexes of these names; MongoDB builds them without stopping the service.

        Raises:
            Misconfigured: an index exists under another name.
        """
        indexes = {search.index_name: search.index for search in self._tags.searches(0.0)}
        try:
            self._collection.create_indexes([indexes[name] for name in names])
        except PyMongoError as error:
            if not isinstance(error, OperationFailure) or error.code != _OTHER_NAME:
                raise classify(error) from error
            text = (error.details or {}).get("errmsg", "")
            raise Misconfigured(
                f"An index of the sweep exists under another name: {text}",
                "Nothing was changed; a sweep finds its indexes by their names",
                f"Drop that index, then run '{Hint.CREATE_SWEEP_INDEX}' again",
            ) from None

    def check_rights(self) -> None:
        """Raise the error that removing tags would raise without permission; changes nothing."""
        update_tags(
            self._collection, [UpdateOne({"_id": None, "never": True}, {"$set": {"checked": True}})]
        )
