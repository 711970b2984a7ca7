"""A job's document, read for what it tells of its own past."""

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from math import nan
from typing import Any, NamedTuple

from bson.objectid import ObjectId

from bridge.model.profile import Profile
from bridge.model.transition import Poison, Transition
from bridge.mongo.client import Document
from bridge.mongo.decoder import moment_in, transition_of

#: Kinds of update times, as MongoDB sorts them.
NUMBER, DATE = "n", "t"
#: Conditions on a field that is no time of use, as ranges of an index. Not of type "array": that would read every job, and
#: what is in one is found by its type.
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


#: A text that may stand for a 64 bit number.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


class JobHistory(NamedTuple):
    """The transitions of one job in their order; where no history is kept, its latest state as the only one.

    ``elements`` are the same as they stand in the document, empty where it keeps none. ``updated`` is the time of
    its last update in Unix seconds, None where there is none. ``cursor`` sorts jobs by it, empty where there is none.
    """

    job_id: str
    items: Sequence[Transition | Poison]
    elements: Sequence[Any]
    updated: float | None
    recovery_cursor: str


class JobDocuments:
    """Reads documents of one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        fields = (
            profile.id_field,
            profile.state_field,
            profile.transitions_field,
            profile.updated_field,
        )
        #: What has to be read of a document.
        self.fields: Document = dict.fromkeys(filter(None, fields), 1)

    def history(self, document: Document) -> JobHistory:
        """What a document tells; what cannot be sent is there with its reason."""
        job_id: Any = document.get(self._profile.id_field)
        if self._profile.id_field == "_id":
            job_id = str(job_id)
        updated = document.get(self._profile.updated_field or "")
        moment = moment_in(updated)
        seconds = (moment - _EPOCH).total_seconds() if moment else None
        cursor = (
            ""
            if seconds is None
            else recovery_cursor_of(DATE if isinstance(updated, datetime) else NUMBER, seconds)
        )
        elements, raw = self._elements(document), {"k": document.get("_id")}
        if self._profile.transitions_field is None:
            latest = {"s": document.get(self._profile.state_field), "d": moment or updated}
            return JobHistory(
                _text(job_id), [transition_of(job_id, None, latest, raw)], [], seconds, cursor
            )
        items = [transition_of(job_id, n, self._picked(one), raw) for n, one in enumerate(elements)]
        return JobHistory(_text(job_id), items, elements, seconds, cursor)

    def by_job(self, job_ids: Sequence[str]) -> Document:
        """The query for jobs by their ids."""
        field = self._profile.id_field
        if field != "_id":
            return {field: {"$in": list(job_ids)}}
        numbers = [int(one) for one in job_ids if _NUMBER.fullmatch(one)]
        return {
            "_id": {
                "$in": [
                    *job_ids,
                    *(ObjectId(one) for one in job_ids if ObjectId.is_valid(one)),
                    *numbers,
                ]
            }
        }

    def _elements(self, document: Document) -> Sequence[Any]:
        found = document.get(self._profile.transitions_field or "")
        return found if isinstance(found, list) else []

    def _picked(self, element: Any) -> Document:
        if not isinstance(element, dict):
            return {}
        names = {
            "s": self._profile.transition_state,
            "d": self._profile.transition_time,
            "i": self._profile.transition_trans_id,
        }
        return {short: element.get(name) for short, name in names.items()}


_EPOCH = datetime(1970, 1, 1)


def date_of(seconds: float) -> datetime:
    """Unix seconds as a query has them."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def recovery_cursor_of(kind: str, seconds: float) -> str:
    """A text that sorts as MongoDB sorts update times of this kind."""
    return f"{kind}{max(0, round(seconds * 1_000_000)):016x}"


def time_in(cursor: str) -> tuple[str, float]:
    """The kind of a place and its Unix seconds."""
    return cursor[:1], int(cursor[1:], 16) / 1_000_000


def _text(job_id: Any) -> str:
    return job_id if isinstance(job_id, str) else ""
