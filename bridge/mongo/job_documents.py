"""Reads the history of a job from its document."""

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from math import nan
from typing import Any

from bson.objectid import ObjectId

from bridge.model.job_history import JobHistory
from bridge.model.profile import Profile
from bridge.mongo.client import Document
from bridge.mongo.decoder import make_transition, parse_time
from bridge.mongo.event_fields import DOCUMENT_KEY, STATE, TIME, TRANS_ID

#: Kinds of update times in MongoDB's sort order.
NUMBER, DATE = "n", "t"
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

_EPOCH = datetime(1970, 1, 1)
#: A text that may represent an integer of 64 bits.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


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
            profile.transitions_field,
            profile.updated_field,
        )
        #: The projection that contains all fields read here.
        self.fields: Document = dict.fromkeys(filter(None, names), 1)

    def history(self, document: Document) -> JobHistory:
        """Return the history in a document; includes transitions that cannot be sent."""
        job_id: Any = document.get(self._profile.id_field)
        if self._profile.id_field == "_id":
            job_id = str(job_id)
        updated = document.get(self._profile.updated_field or "")
        time = parse_time(updated)
        seconds = (time - _EPOCH).total_seconds() if time else None
        cursor = ""
        if seconds is not None:
            kind = DATE if isinstance(updated, datetime) else NUMBER
            cursor = recovery_cursor_of(kind, seconds)
        raw = {DOCUMENT_KEY: document.get("_id")}
        name = f"{document.get('_id')!s:.100}"
        if self._profile.transitions_field is None:
            latest = {STATE: document.get(self._profile.state_field), TIME: time or updated}
            items = [make_transition(job_id, None, latest, raw)]
            return JobHistory(_text(job_id), items, [], seconds, cursor, name)
        elements = self._elements(document)
        items = [
            make_transition(job_id, n, self._shaped(element), raw)
            for n, element in enumerate(elements)
        ]
        return JobHistory(_text(job_id), items, elements, seconds, cursor, name)

    def by_job(self, job_ids: Sequence[str]) -> Document:
        """Return the query for jobs by their ids."""
        field = self._profile.id_field
        if field != "_id":
            return {field: {"$in": list(job_ids)}}
        object_ids = [ObjectId(job_id) for job_id in job_ids if ObjectId.is_valid(job_id)]
        integers = [int(job_id) for job_id in job_ids if _INTEGER.fullmatch(job_id)]
        return {"_id": {"$in": [*job_ids, *object_ids, *integers]}}

    def _elements(self, document: Document) -> Sequence[Any]:
        elements = document.get(self._profile.transitions_field or "")
        return elements if isinstance(elements, list) else []

    def _shaped(self, element: Any) -> Document:
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


def parse_recovery_cursor(cursor: str) -> tuple[str, float]:
    """Return the kind and the Unix seconds of a recovery cursor."""
    return cursor[:1], int(cursor[1:], 16) / 1_000_000


def _text(job_id: Any) -> str:
    return job_id if isinstance(job_id, str) else ""
