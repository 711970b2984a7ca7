"""Samples of real collections: large, odd and secret documents, and users without rights."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import WriteError

from bridge.demo.servers.process import poll
from bridge.model.detection.proposal import propose
from bridge.model.detection.values import Omitted
from bridge.mongo.collection_sample import CollectionSample, sample_collection
from tests.support import job_layouts
from tests.support.raw_documents import raw_document
from tests.support.servers.mongo import Client, MongoDeployment

COLLECTION = "jobs"
MEGABYTE = 1024 * 1024
#: TransactionTooLargeForCache.
CACHE_IS_FULL = 388


@pytest.fixture(scope="module")
def client(mongo: MongoDeployment) -> Iterator[Client]:
    with MongoClient[Any](mongo.uri) as client:
        yield client


def sample(client: Client, database: str, count: int = 200) -> CollectionSample:
    return sample_collection(client, database, COLLECTION, count)


def insert_large(jobs: Collection[Any], document: dict[str, Any]) -> None:
    """Insert a document that may have to wait for room in the small cache of the server."""

    def inserted() -> bool:
        try:
            jobs.insert_one(document)
        except WriteError as error:
            if error.code != CACHE_IS_FULL:
                raise
            return False
        return True

    poll(inserted, "room in the cache")


def test_short_values_come_with_their_types(client: Client, database: str) -> None:
    written: dict[str, Any] = {
        "_id": ObjectId(),
        "text": "short",
        "long": "x" * 129,
        "date": datetime(2026, 1, 1),
        "number": Int64(7),
        "uuid": Binary(b"0" * 16, 4),
        "null": None,
        "inputs": {"password": "secret", "args": [1]},
        "pairs": [["state", 1]],
        "log": [{"state": "created", "inner": {"a": 1}, "time": datetime(2026, 1, 1)}],
    }
    client[database][COLLECTION].insert_one(written)

    (read,) = sample(client, database).documents

    assert read == {
        **written,
        "long": Omitted("string"),
        "inputs": {"password": Omitted("string"), "args": Omitted("array")},
        "pairs": [Omitted("array")],
        "log": [{**written["log"][0], "inner": Omitted("object")}],
    }


def test_documents_near_the_limit_are_sampled(client: Client, database: str) -> None:
    jobs = client[database][COLLECTION]
    array = [{str(key): "v" * 128 for key in range(31)}] * 9
    jobs.insert_one({str(number): array for number in range(160)})
    jobs.insert_one({f"{number:06}{'n' * 100}": {"a": 1} for number in range(40_000)})
    insert_large(
        jobs, {**job_layouts.cts()[0], "_id": ObjectId(), "outputs": ["x" * MEGABYTE] * 14}
    )

    read = sample(client, database)

    assert len(read.documents) == 3
    assert propose(read.documents[:1]).jobs["profile"] == "cts"


def test_newest_and_random_documents_are_read_once(client: Client, database: str) -> None:
    jobs = client[database][COLLECTION]
    jobs.insert_many([{"number": number} for number in range(500)])

    read = sample(client, database, 101)

    numbers = [document["number"] for document in read.documents]
    assert numbers[:51] == [*range(499, 448, -1)] and read.newest == 51
    assert len(numbers) == len(set(numbers)) <= 101
    assert any(number < 449 for number in numbers)


def test_odd_names_and_texts_are_read(client: Client, database: str) -> None:
    job = {"": 1, "$set": 2, "a.b": 3, "state": "\u2028", "history": [None, 1, {"": None}]}
    client[database].command(
        "insert", COLLECTION, documents=[{"_id": "x", **job}], bypassDocumentValidation=True
    )

    (read,) = sample(client, database).documents

    assert read == {"_id": "x", **job}


def test_bytes_that_are_not_text_are_read(client: Client, database: str) -> None:
    inner = [(b"\xff", "value"), (b"state", "created")]
    names = [(b"_id", "x"), (b"\xff\xfe", 1), (b"inner", inner), (b"date", DatetimeMS(2**62))]
    client[database][COLLECTION].insert_one(RawBSONDocument(raw_document(names)))

    read = sample(client, database)

    assert list(read.documents[0]) == ["_id", "\udcff\udcfe", "inner", "date"]
    assert [undecided.setting for undecided in propose(read.documents).undecided] == [
        "state_field",
        "transitions_field",
    ]


def test_indexes_are_evidence(client: Client, database: str) -> None:
    jobs = client[database][COLLECTION]
    jobs.create_index("reference", unique=True)
    jobs.create_index("partial", unique=True, partialFilterExpression={"a": 1})
    jobs.create_index([("updated", -1), ("state", 1)])

    indexes = sample(client, database).indexes

    assert indexes.unique == {"reference"}
    assert indexes.leading == {"_id", "reference", "partial", "updated"}


def test_an_absent_collection_is_empty(client: Client, database: str) -> None:
    read = sample(client, database)

    assert (read.documents, read.newest, read.note) == ([], 0, "")
