"""Samples a collection whose layout is not known: its newest documents, and random ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from bridge.model.detection.values import Indexes
from bridge.mongo.change_stream import jobs_collection
from bridge.mongo.client import Document
from bridge.mongo.errors import classify, is_refused, summary_of, translated
from bridge.mongo.shapes import document_of, shape_stage

_MAX_TIME_MS = 20_000


@dataclass(frozen=True, slots=True)
class CollectionSample:
    """Documents of a collection.

    Attributes:
        documents: the newest first, then random ones; each once. Long values and those inside
            objects are replaced by their type.
        newest: the number of documents that were read because they are the newest.
        indexes: the indexed fields; empty without the right to list indexes.
        note: why there are no random documents; empty if there are, or if nothing is missing.
    """

    documents: Sequence[Document]
    newest: int
    indexes: Indexes
    note: str = ""


def sample_collection(
    client: MongoClient[Document], database: str, name: str, count: int
) -> CollectionSample:
    """Read at most ``count`` documents: the newest by ``_id``, then as many random ones.

    Raises the bridge's errors.
    """
    collection = jobs_collection(client, database, name)
    newest_count = count - count // 2
    with translated():
        newest = _shapes(collection, {"$sort": {"_id": -1}}, {"$limit": newest_count})
    others: list[Document] = []
    note = ""
    if count // 2 and len(newest) == newest_count:
        try:
            others = _shapes(collection, {"$sample": {"size": count // 2}})
        except PyMongoError as error:
            if is_refused(error):
                raise classify(error) from error
            note = f"random documents cannot be read: {summary_of(error)}"
    documents = {_key(shape): document_of(shape) for shape in [*newest, *others]}
    return CollectionSample([*documents.values()], len(newest), _indexes(collection), note)


def _shapes(collection: Collection[Document], *stages: Document) -> list[Document]:
    pipeline = [*stages, shape_stage()]
    with collection.aggregate(pipeline, maxTimeMS=_MAX_TIME_MS, allowDiskUse=True) as shapes:
        return list(shapes)


def _key(shape: Document) -> Any:
    """Return the ``_id`` of a document; a random document may also be among the newest."""
    for field in shape["f"]:
        if field["k"] == "_id" and "v" in field:
            return repr(field)
    return id(shape)


def _indexes(collection: Collection[Document]) -> Indexes:
    try:
        indexes = [*collection.list_indexes()]
    except PyMongoError:
        return Indexes()
    keys = [(list(index["key"]), index) for index in indexes]
    return Indexes(
        unique=frozenset(
            key[0]
            for key, index in keys
            if len(key) == 1 and index.get("unique") and "partialFilterExpression" not in index
        ),
        leading=frozenset(key[0] for key, _ in keys),
    )
