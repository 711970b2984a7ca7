"""Reads the history of a job from its document."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from math import nan
from typing import Any

from bson.objectid import ObjectId

from bridge.model.gap import CREATED
from bridge.model.job_history import JobHistory
from bridge.model.profile import Profile
from bridge.mongo.client import Document
from bridge.mongo.elements import (
    EPOCH,
    Element,
    make_latest,
    make_poison,
    parse_time,
    transitions_of,
)
from bridge.mongo.event_fields import STATE, TIME, TRANS_ID
from bridge.mongo.job_ids import find_by_document_id, text_of
from bridge.mongo.raw_text import is_utf8, text_of_id

#: Kinds of update times in MongoDB's sort order.
NUMBER, DATE = "n", "t"
#: The parts of an ObjectId (MongoDB manual, "ObjectId"): seconds, a random value and a counter.
_ID_TIME_BYTES, _ID_BYTES = 4, 12
_MAX_ID_SECONDS = 2**32 - 1
_CURSOR_BYTES = 8
#: Conditions for a field without a usable time, as ranges of an index. The type "array" is missing
#: because it would read every job; MongoDB finds the values inside an array by their own type.
NO_TIME: Sequence[Document] = (
    {"$in": [None, nan, []]},
    {
        "$type": [
            "string",
            "object",
            "binData",
            "undefined",
            "objectId",
            "bool",
            "regex",
            "dbPointer",
            "javascript",
            "symbol",
            "javascriptWithScope",
            "timestamp",
            "minKey",
            "maxKey",
        ]
    },
)


class JobDocuments:
    """Reads the documents of a profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._element_fields = {
            STATE: profile.transition_state,
            TIME: profile.transition_time,
            TRANS_ID: profile.transition_trans_id,
        }
        names = (
            profile.id_field,
            profile.state_field,
            *profile.history_fields,
            profile.updated_field,
        )
        #: The projection that contains all fields read here.
        self.fields: Document = dict.fromkeys(filter(None, names), 1)

    def history(self, document: Document) -> JobHistory:
        """Return the history in a document; includes transitions that cannot be sent."""
        job_id = self.job_id(document)
        updated = document.get(self._profile.updated_field or "")
        time = parse_time(updated)
        seconds = (time - EPOCH).total_seconds() if time else None
        cursor = ""
        if seconds is not None:
            kind = DATE if isinstance(updated, datetime) else NUMBER
            cursor = recovery_cursor_of(kind, seconds)
        document_id = document.get("_id")
        name = text_of_id(document_id)
        if self._profile.transitions_field is None:
            latest = {STATE: document.get(self._profile.state_field), TIME: time or updated}
            items = [make_latest(job_id, latest, document_id)]
            created = _time_in(document_id)
            return JobHistory(_text(job_id), items, [], seconds, cursor, name, created)
        unreadable = [
            make_poison(reason, job_id, {}, document_id) for reason in self._unreadable(document)
        ]
        elements = self.elements(document)
        items = transitions_of(job_id, map(self.shaped, elements), document_id)
        return JobHistory(
            _text(job_id),
            [*unreadable, *items],
            [*({} for _ in unreadable), *elements],
            seconds,
            cursor,
            name,
            _time_in(document_id),
        )

    def by_job(self, job_ids: Sequence[str]) -> Document:
        """Return the query for jobs by their ids."""
        field = self._profile.id_field
        if field != "_id":
            return {field: {"$in": [job_id for job_id in job_ids if is_utf8(job_id)]}}
        return find_by_document_id(job_ids)

    def job_id(self, document: Document) -> Any:
        """Return the job id in a document; a value that is not text cannot be sent."""
        job_id: Any = document.get(self._profile.id_field)
        return text_of(job_id) if self._profile.id_field == "_id" else job_id

    def elements(self, document: Document) -> Sequence[Any]:
        """Return the elements of the archive, and then those of the current history.

        MongoDB leaves null where an element was unset.
        """
        arrays = [document.get(field) for field in self._profile.history_fields]
        return [
            element
            for array in arrays
            if isinstance(array, list)
            for element in array
            if element is not None
        ]

    def _unreadable(self, document: Document) -> Iterator[str]:
        """Yield the reason for each field of the history that is not an array."""
        for field in self._profile.history_fields:
            value = document.get(field)
            if value is not None and not isinstance(value, list):
                yield f"its history is not an array: {field} is {type(value).__name__}"

    def arrays(self, document: Document) -> Mapping[str, Sequence[Element | None]]:
        """Return the elements of each array as change events contain them, unset ones as None."""
        return {
            field: [None if element is None else self.shaped(element) for element in array]
            for field in self._profile.history_fields
            if isinstance(array := document.get(field), list)
        }

    def shaped(self, element: Any) -> Element:
        """Return an element as a change event contains it."""
        if not isinstance(element, dict):
            return {}
        return {short: element.get(name) for short, name in self._element_fields.items()}


def utc_datetime(seconds: float) -> datetime:
    """Convert Unix seconds for a query."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def recovery_cursor_of(kind: str, seconds: float) -> str:
    """Return a text that sorts as MongoDB sorts update times of this kind."""
    return f"{kind}{max(0, round(seconds * 1_000_000)):016x}"


def created_cursor_of(document_id: ObjectId) -> str:
    """Return a text that sorts as MongoDB sorts ObjectIds; those that share it are read together.

    It is as long as any recovery cursor and contains the time, but not the counter.
    """
    return f"{CREATED}{document_id.binary[:_CURSOR_BYTES].hex()}"


def created_since(seconds: float, cursor: str = "") -> Document:
    """Return the range of ``_id`` values with this time or later, from ``cursor`` on.

    Args:
        seconds: Unix seconds.
        cursor: a recovery cursor of this kind, or empty.
    """
    start = int(min(max(seconds, 0), _MAX_ID_SECONDS)).to_bytes(_ID_TIME_BYTES, "big")
    start = max(start, bytes.fromhex(cursor[1:]))
    return {"_id": {"$gte": ObjectId(start.ljust(_ID_BYTES, b"\0"))}}


def parse_recovery_cursor(cursor: str) -> tuple[str, float]:
    """Return the kind and the Unix seconds of a recovery cursor."""
    return cursor[:1], int(cursor[1:], 16) / 1_000_000


def _time_in(document_id: Any) -> float | None:
    """Return the time in an ``_id``, in Unix seconds; only an ObjectId contains a time."""
    if not isinstance(document_id, ObjectId):
        return None
    return float(int.from_bytes(document_id.binary[:_ID_TIME_BYTES], "big"))


def _text(job_id: Any) -> str:
    return job_id if isinstance(job_id, str) and is_utf8(job_id) else ""
