"""Finds collections whose names are similar to that of a collection that does not exist."""

from collections.abc import Iterator
from difflib import get_close_matches

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bridge.mongo.client import Document

_MAX_NAMES = 3


def similar_collections(client: MongoClient[Document], database: str, collection: str) -> list[str]:
    """Return the namespaces of some similar collections; empty also if this user may not list."""
    try:
        return [*_similar(client, database, collection)][:_MAX_NAMES]
    except PyMongoError:
        return []


def _similar(client: MongoClient[Document], database: str, collection: str) -> Iterator[str]:
    """Yield similar names in the same database, then the same name in similar databases."""
    for name in get_close_matches(collection, _collections(client, database)):
        yield f"{database}.{name}"
    for name in get_close_matches(database, _databases(client)):
        if name != database and collection in _collections(client, name):
            yield f"{name}.{collection}"


def _databases(client: MongoClient[Document]) -> list[str]:
    reply = client.admin.command("listDatabases", nameOnly=True, authorizedDatabases=True)
    return [str(database["name"]) for database in reply["databases"]]


def _collections(client: MongoClient[Document], database: str) -> list[str]:
    found = client.get_database(database).list_collections(
        nameOnly=True, authorizedCollections=True
    )
    return [str(collection["name"]) for collection in found]
