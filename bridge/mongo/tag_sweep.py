"""The sweep of tags in a collection: its count, its index and its permissions."""

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
    index_name,
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

    def missing_index(self) -> str:
        """Return the name of the index that a sweep lacks.

        Empty if it exists, or if the service has a partial index of tagged jobs.
        """
        name = index_name(self._tags)
        # MongoDB accepts any hint for a missing collection, but its plan then reads no index.
        options = {"hint": name} if index_exists(self._collection, name) else {}
        for query in self._tags.queries(0.0):
            if not uses_partial_index(self._collection, query, **options):
                return name
        return ""

    def create_index(self) -> None:
        """Create the index; MongoDB builds it without stopping the service.

        Raises:
            Misconfigured: the index exists under another name.
        """
        try:
            self._collection.create_indexes([self._tags.index()])
        except PyMongoError as error:
            if not isinstance(error, OperationFailure) or error.code != _OTHER_NAME:
                raise classify(error) from error
            text = (error.details or {}).get("errmsg", "")
            raise Misconfigured(
                f"The sweep's index exists under another name: {text}",
                "Nothing was changed; a sweep finds its index by the name",
                f"Drop that index, then run '{Hint.CREATE_SWEEP_INDEX}' again",
            ) from None

    def check_rights(self) -> None:
        """Raise the error that removing tags would raise without permission; changes nothing."""
        update_tags(
            self._collection, [UpdateOne({"_id": None, "never": True}, {"$set": {"checked": True}})]
        )
