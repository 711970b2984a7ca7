"""Looks at a few jobs: whether their documents fit the profile."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from bridge.model.profile import Profile
from bridge.mongo.client import Document
from bridge.mongo.elements import parse_time
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import JobDocuments

#: How many of the first and of the last documents by ``_id`` are read.
_SAMPLE_SIZE = 5
#: How many of the newest documents are searched for a field.
NEWEST = 200
#: The fields that a transition needs: name, setting, type, and the type in words.
_ELEMENT_FIELDS = (
    ("state", "transition_state", str, "text"),
    ("time", "transition_time", datetime, "a date"),
)


class JobSample:
    """Reads the first or the last documents of the collection, by its index on ``_id``."""

    def __init__(self, collection: Collection[Document], profile: Profile) -> None:
        self._collection = collection
        self._profile = profile
        self._documents = JobDocuments(profile)

    def misfit(self) -> str:
        """Return why no sampled document fits the profile; empty if any does, or none exists.

        Names the setting of each field, for a custom profile. Raises the bridge's errors.
        """
        with translated():
            documents = [
                *chain.from_iterable(
                    self._collection.find({}, self._documents.fields)
                    .sort("_id", direction)
                    .limit(_SAMPLE_SIZE)
                    for direction in (DESCENDING, ASCENDING)
                )
            ]
        problems = [" and ".join(self._problems(document)) for document in documents]
        if not all(problems):
            return ""
        return problems[0] if problems else ""

    def absent(self, settings: Iterable[str]) -> list[str]:
        """Return those settings whose field is in none of the newest documents, if any exist.

        Args:
            settings: the names of settings of the profile, without their section. One inside a
                transition is absent if there are transitions, and none has it.

        Raises the bridge's errors.
        """
        entry = _any_of(self._profile.history_fields, {"$elemMatch": {"$ne": None}})
        with translated():
            return [
                setting
                for setting in settings
                if self._contains(entry if setting.startswith("transition_") else {})
                and not self._contains(self._with(setting))
            ]

    def _with(self, setting: str) -> Document:
        """Return the query for the jobs that have the field of a setting."""
        name = getattr(self._profile, setting)
        if setting.startswith("transition_"):
            return _any_of(self._profile.history_fields, {"$elemMatch": {name: {"$ne": None}}})
        # Unlike $ne, also true of an array that contains null.
        return {"$expr": {"$gt": [f"${name}", None]}}

    def _contains(self, query: Document) -> bool:
        """Whether one of the newest documents matches."""
        newest: Sequence[Document] = [{"$sort": {"_id": DESCENDING}}, {"$limit": NEWEST}]
        pipeline = [*newest, {"$match": query}, {"$limit": 1}, {"$project": {"_id": 1}}]
        with self._collection.aggregate(pipeline) as found:
            return any(found)

    def _problems(self, document: Document) -> Iterator[str]:
        """Yield why no transition of this document can be sent; nothing if it fits."""
        profile = self._profile
        if not isinstance(self._documents.job_id(document), str):
            value = document.get(profile.id_field)
            yield f"the job id {profile.id_field} {_described(value)} (jobs.id_field)"
        if profile.transitions_field is None:
            yield from self._problems_of_state(document)
            return
        history = document.get(profile.transitions_field)
        if isinstance(history, list):
            yield from self._problems_of(self._documents.elements(document))
        else:
            described = _described(history, "an array")
            yield f"the history {profile.transitions_field} {described} (jobs.transitions_field)"

    def _problems_of_state(self, document: Document) -> Iterator[str]:
        """Yield why the latest state cannot be sent; without a time it has that of its commit."""
        profile = self._profile
        state = document.get(profile.state_field)
        if not isinstance(state, str):
            yield f"the state {profile.state_field} {_described(state)} (jobs.state_field)"
        updated = document.get(profile.updated_field or "")
        if updated is not None and parse_time(updated) is None:
            described = _described(updated, "a date")
            yield f"the time {profile.updated_field} {described} (jobs.updated_field)"

    def _problems_of(self, elements: Sequence[object]) -> Iterator[str]:
        """Yield the fields that no element of a history has in a usable type."""
        for kind, setting, usable, wanted in _ELEMENT_FIELDS:
            name = getattr(self._profile, setting)
            values = [element.get(name) for element in elements if isinstance(element, dict)]
            if elements and not any(isinstance(value, usable) for value in values):
                value = next((value for value in values if value is not None), None)
                described = _described(value, wanted)
                yield f"the {kind} {name} of each transition {described} (jobs.{setting})"


def _any_of(fields: Sequence[str], condition: Document) -> Document:
    """Return the query for a condition on any of the fields; without fields nothing matches."""
    return {"$or": [{field: condition} for field in fields]} if fields else {"$nor": [{}]}


def _described(value: object, wanted: str = "text") -> str:
    return "is missing" if value is None else f"is {type(value).__name__}, not {wanted}"
