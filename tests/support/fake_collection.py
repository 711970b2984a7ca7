"""A MongoDB collection in memory, with the commands of the checkpoint store only."""

from __future__ import annotations

from copy import deepcopy
from itertools import count
from types import SimpleNamespace
from typing import Any

from pymongo.errors import DuplicateKeyError

Document = dict[str, Any]

_MISSING = object()


class FakeCollection:
    """Documents by ``_id``; each change of a server time gives another one."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self._times = count()

    def get_database(self, _: str) -> FakeCollection:
        return self

    def get_collection(self, _: str, **__: Any) -> FakeCollection:
        return self

    def with_options(self, **_: Any) -> FakeCollection:
        return self

    def find_one(self, query: Document) -> Document | None:
        return deepcopy(self._matching(query))

    def insert_one(self, document: Document) -> None:
        if document["_id"] in self.documents:
            raise DuplicateKeyError("E11000")
        self.documents[document["_id"]] = deepcopy(document)

    def replace_one(self, query: Document, fields: Document) -> SimpleNamespace:
        document = self._matching(query)
        if document is not None:
            self.documents[query["_id"]] = {"_id": query["_id"], **deepcopy(fields)}
        return SimpleNamespace(matched_count=int(document is not None))

    def update_one(self, query: Document, update: Document) -> SimpleNamespace:
        document = self._matching(query)
        if document is not None:
            self._apply(document, deepcopy(update))
        return SimpleNamespace(matched_count=int(document is not None))

    def find_one_and_update(self, query: Document, stages: Any, **_: Any) -> Document | None:
        """Apply the pipeline by which a store takes over."""
        document = self._matching(query)
        if document is not None:
            owner = deepcopy(stages[0]["$set"]["owner"]["$literal"])
            document.update(owner=owner, epoch=document["epoch"] + 1, renewed_at=next(self._times))
        return deepcopy(document)

    def _matching(self, query: Document) -> Document | None:
        document = self.documents.get(query["_id"])
        if document is None or not all(
            _matches(_value(document, path), expected) for path, expected in query.items()
        ):
            return None
        return document

    def _apply(self, document: Document, update: Document) -> None:
        for operator, fields in update.items():
            for path, value in fields.items():
                target, name = _target(document, path)
                if operator == "$set":
                    target[name] = value
                elif operator == "$inc":
                    target[name] = target.get(name, 0) + value
                elif operator == "$unset":
                    target.pop(name, None)
                elif operator == "$currentDate":
                    target[name] = next(self._times)
                else:
                    raise NotImplementedError(operator)


def _value(document: Document, path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _target(document: Document, path: str) -> tuple[Document, str]:
    *parents, name = path.split(".")
    for parent in parents:
        document = document[parent]
    return document, name


def _matches(value: Any, expected: Any) -> bool:
    if isinstance(expected, dict) and "$not" in expected:
        return value is _MISSING or not value >= expected["$not"]["$gte"]
    return bool(value == expected or (expected is None and value is _MISSING))
