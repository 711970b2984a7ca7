"""Queries and writes that the sweep and both kinds of tags share."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bridge.errors import NotPermitted
from bridge.model.transition import Poison, Transition
from bridge.mongo.bulk_failures import InvalidDocuments
from bridge.mongo.client import Document
from bridge.mongo.errors import classify, translated

logger = logging.getLogger(__name__)

_BATCH_SIZE = 500
#: BadValue: MongoDB's reply to a hint that names no existing index.
_NO_SUCH_HINT = 2

Item = Transition | Poison
Items = Sequence[Item]


@dataclass(frozen=True, slots=True)
class Search:
    """A part of a sweep.

    Attributes:
        query: finds tagged jobs.
        index: contains exactly the tagged transitions or jobs that this part looks for.
        bounds: options of ``find`` that bound a read of the index.
    """

    query: Document
    index: IndexModel
    bounds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def index_name(self) -> str:
        return str(self.index.document["name"])


class Sweepable(Protocol):
    """Tags that a sweep can find."""

    def searches(self, before: float) -> Iterator[Search]:
        """Yield the searches that together find all tags older than ``before`` (Unix seconds).

        No two of them find the same job.
        """


def with_majority(collection: Collection[Document]) -> Collection[Document]:
    """Return the collection with read and write concern ``majority``."""
    return collection.with_options(
        read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority")
    )


def sweep_index(tag: str, time: str, *, tagged: bool) -> IndexModel:
    """Return the partial index on ``tag`` and ``time`` of documents with the value ``tagged``.

    Its name contains both fields, joined by a character that no field contains: a hint to an index
    with another filter would hide jobs without an error, and reading the definition of an index
    takes a permission that the bridge does not require.
    """
    return IndexModel(
        [(tag, ASCENDING), (time, ASCENDING)],
        name=f"job_bridge_sweep-{tag}-{time}",
        partialFilterExpression={tag: tagged},
    )


def index_exists(collection: Collection[Document], name: str) -> bool:
    """Whether the index exists; needs no permission but ``find``.

    True for a collection that does not exist, because MongoDB then accepts any hint.
    """
    try:
        collection.find_one({"_id": None}, hint=name)
    except PyMongoError as error:
        if not isinstance(error, OperationFailure) or error.code != _NO_SUCH_HINT:
            raise classify(error) from error
        return False
    return True


def find_tagged(
    collection: Collection[Document], tags: Sweepable, before: float, fields: Document
) -> Iterator[Document]:
    """Find the jobs with tags older than ``before``, by the sweep's indexes if they exist.

    Without the hint MongoDB might choose an index on the time alone and read every job.
    """
    searches = [*tags.searches(before)]
    names = {search.index_name for search in searches}
    existing = {name for name in names if index_exists(collection, name)}
    for search in searches:
        options: Document = {}
        if search.index_name in existing:
            options = {"hint": search.index_name, **search.bounds}
        with (
            translated(),
            collection.find(search.query, fields, batch_size=_BATCH_SIZE, **options) as jobs,
        ):
            yield from jobs


def update_tags(collection: Collection[Document], updates: Sequence[UpdateOne]) -> int:
    """Make the updates; return how many of them matched a job. Raises the bridge's errors.

    A job that fails the collection's validator keeps its tag, which is logged; then 0 is returned.
    """
    if not updates:
        return 0
    try:
        with translated():
            return collection.bulk_write(updates, ordered=False).matched_count
    except InvalidDocuments as error:
        logger.warning(
            "%s: the messages are sent, but their tags stay and each sweep sends them again",
            error.what,
        )
        return 0
    except NotPermitted as error:
        raise NotPermitted(
            error.what,
            "Nothing is lost: the tags stay, and nothing is sent until they can be removed",
            "Grant update on the collection: background modes remove tags",
            part="mongodb",
        ) from None


def date_of(item: Item) -> datetime | None:
    """Return the time of a transition; None if it has no usable time."""
    try:
        return datetime.fromisoformat(item.time)
    except ValueError:
        return None
