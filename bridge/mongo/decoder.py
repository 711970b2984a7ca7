"""Decodes shaped change events; all knowledge of unusual documents is here.

Optimised, because it runs once per event; tests/unit/test_hot_path.py counts its calls.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion

from bridge.hints import Hint
from bridge.logs import BatchNotes
from bridge.model.position import Position
from bridge.model.profile import Profile
from bridge.model.transition import STREAM, Event, Poison, Transition, made_trans_id
from bridge.mongo.array_index import MAX_DIGITS, parse_index
from bridge.mongo.event_fields import (
    CHANGES,
    DOCUMENT_KEY,
    JOB_ID,
    JOB_STATE,
    OPERATION,
    PATH,
    STATE,
    TIME,
    TOKEN,
    TRANS_ID,
    UPDATED,
    VALUE,
    WALL_TIME,
    WHOLE_HISTORY,
)
from bridge.mongo.job_id_cache import UNKNOWN, JobIdCache

logger = logging.getLogger(__name__)

#: No document may stop the stream: bad UTF-8 is replaced, a date out of range stays a number.
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)

#: Operations on the collection itself; after each of them the server closes the stream.
_COLLECTION_OPERATIONS = {
    "drop": "the collection was dropped; the bridge resumes with the next collection of this name. "
    "Transitions in a collection that is renamed to this name are not published: "
    f"'{Hint.VERIFY_REPAIR}' sends them",
    "rename": "the collection was renamed; the bridge resumes with the next collection of the old "
    "name; set mongo.collection to follow the new name",
    "dropDatabase": "the database was dropped; the bridge resumes with the next collection of this "
    "name",
    "invalidate": "the change stream ended with its collection; opening a new stream",
}

#: Operations whose event contains the whole document.
_WHOLE_DOCUMENT = ("insert", "replace")
#: PyMongo's dates are UTC and naive.
_EPOCH = datetime(1970, 1, 1)
#: The end of the text of a time, by its milliseconds.
_FRACTIONS = ("+00:00", *(f".{millis:03}000+00:00" for millis in range(1, 1000)))

#: Makes a named tuple in half the time of its class.
_new = tuple.__new__

RawEvent = dict[str, Any]
Items = tuple[Transition | Poison, ...]


def position_of_token(token: RawEvent) -> Position:
    """Return the position right after the event with this resume token, which stays opaque."""
    bits = token.get("_typeBits")
    return Position(token["_data"], bytes(bits).hex() if bits else "")


class Decoder:
    """Decodes the events of a collection; looks up missing job ids by batch."""

    def __init__(self, profile: Profile, ids: JobIdCache) -> None:
        self._profile = profile
        self._ids = ids
        self._notes = BatchNotes(logger)
        self._id_is_key = profile.id_field == "_id"
        self._wall_time: Any = None
        self._committed: float | None = None
        #: Where the array index starts in the path of an element of the history.
        self._index_start = len(f"{profile.transitions_field}.")
        self._event_fields = {
            profile.transition_state: STATE,
            profile.transition_time: TIME,
            profile.transition_trans_id: TRANS_ID,
        }

    def decode(self, raws: Sequence[RawEvent]) -> list[Event]:
        """Decode a batch in its order. Raises PyMongo's errors if a lookup fails."""
        try:
            return list(map(self._event, raws, self._job_ids(raws)))
        finally:
            self._notes.log()

    def _job_ids(self, raws: Sequence[RawEvent]) -> Sequence[Any]:
        """Return the job id of each event, or a :class:`MissingJobId`."""
        if self._id_is_key:
            return [str(raw.get(DOCUMENT_KEY)) for raw in raws]
        ids = [self._cached_id(raw) for raw in raws]
        missing = [
            raw[DOCUMENT_KEY] for raw, cached in zip(raws, ids, strict=True) if cached is UNKNOWN
        ]
        if missing:
            looked_up = iter(self._ids.look_up(missing, _DELETED))
            ids = [next(looked_up) if cached is UNKNOWN else cached for cached in ids]
        return ids

    def _cached_id(self, raw: RawEvent) -> Any:
        key = raw.get(DOCUMENT_KEY)  # a drop has no document
        if raw[OPERATION] == "update" and JOB_ID not in raw:
            return self._ids.cached(key)
        if JOB_ID in raw or raw[OPERATION] in _WHOLE_DOCUMENT:
            self._ids.remember(key, raw.get(JOB_ID))
        return raw.get(JOB_ID)

    def _event(self, raw: RawEvent, job_id: Any) -> Event:
        token = raw[TOKEN]
        operation = raw[OPERATION]
        if len(token) == 1:
            position = _new(Position, (token["_data"], "", ""))
        else:
            position = position_of_token(token)
        # Consecutive events often have the same wall time.
        if (time := raw.get(WALL_TIME)) != self._wall_time:
            self._wall_time = time
            self._committed = (
                (time - _EPOCH).total_seconds() if isinstance(time, datetime) else None
            )
        committed = self._committed
        if operation != "update" and operation not in _WHOLE_DOCUMENT:
            return Event(position, (), committed, self._skip(operation, raw))
        items = self._items(raw, job_id, position)
        return _new(Event, (position, items, committed, "" if items else "no_transition", STREAM))

    def _items(self, raw: RawEvent, job_id: Any, position: Position) -> Items:
        if self._profile.transitions_field is None:
            return self._latest_state(raw, job_id, position)
        if WHOLE_HISTORY in raw:
            elements = raw[WHOLE_HISTORY]
            if raw[OPERATION] != "insert" and elements:
                self._notes.add(
                    "the history of a job was rewritten: all its transitions are sent again, "
                    "and consumers recognise them by trans_id",
                    f"{len(elements)} transitions",
                    job_id=str(job_id)[:100],
                )
            return tuple(
                [make_transition(job_id, n, element, raw) for n, element in enumerate(elements)]
            )
        changes = raw[CHANGES]
        # Nearly every event contains exactly one new element.
        if len(changes) == 1:
            index = changes[0][PATH][self._index_start :]
            if len(index) <= MAX_DIGITS and index.isascii() and index.isdigit():
                return (make_transition(job_id, int(index), changes[0], raw),)
        return tuple(make_transition(job_id, n, element, raw) for n, element in self._elements(raw))

    def _elements(self, raw: RawEvent) -> list[tuple[int, RawEvent]]:
        """Return new and rewritten elements by index, without changes that are not a transition."""
        elements: dict[int, RawEvent] = {}
        for change in raw[CHANGES]:
            index, _, name = change[PATH][self._index_start :].partition(".")
            if not name:
                elements[parse_index(index)] = change
            elif VALUE in change:
                element = elements.setdefault(parse_index(index), {})
                element[self._event_fields.get(name, "")] = change[VALUE]
        return [
            (index, _completed(elements[index], raw))
            for index in sorted(elements)
            if elements[index].keys() & {STATE, TRANS_ID, PATH}
        ]

    def _skip(self, operation: str, raw: RawEvent) -> str:
        """Note an event without transitions and return the reason that metrics use."""
        if operation == "delete":
            document = f"document _id {raw.get(DOCUMENT_KEY)!s:.100}"
            self._notes.add("a job was deleted: nothing is sent for it", document)
            return "delete"
        unusual = f"the operation {operation} on the collection: nothing is sent for it"
        self._notes.add(_COLLECTION_OPERATIONS.get(operation, unusual))
        return "collection"

    def _latest_state(self, raw: RawEvent, job_id: Any, position: Position) -> Items:
        if STATE not in raw:
            return ()
        time = parse_time(raw.get(UPDATED)) or parse_time(raw.get(WALL_TIME))
        time = time or parse_time(position.cluster_time.seconds)
        return (make_transition(job_id, None, {STATE: raw[STATE], TIME: time}, raw),)


@dataclass(frozen=True, slots=True)
class MissingJobId:
    """Replaces a job id that cannot be found, with the reason."""

    reason: str

    def __str__(self) -> str:
        return ""


_DELETED = MissingJobId("the job was deleted before its id could be looked up")


def _completed(element: RawEvent, raw: RawEvent) -> RawEvent:
    """Complete an element that was rewritten in place, as by a job that starts again.

    Its event contains the changed fields only; the job's state and the time of the commit replace
    the missing ones.
    """
    if PATH in element:
        return element
    return {STATE: raw.get(JOB_STATE), TIME: raw.get(WALL_TIME), **element}


def make_transition(
    job_id: Any, sequence: int | None, element: Any, raw: RawEvent
) -> Transition | Poison:
    """Make a transition of an element, or a :class:`Poison` with the reason."""
    element = element if isinstance(element, dict) else {}
    state, time, trans_id = element.get(STATE), element.get(TIME), element.get(TRANS_ID)
    if isinstance(job_id, str) and isinstance(state, str) and isinstance(time, datetime):
        # Half the time of isoformat(): times in the same second share most of their text.
        since = time - _EPOCH
        text = _second(since.days, since.seconds) + _FRACTIONS[since.microseconds // 1000]
        if not (isinstance(trans_id, str) and trans_id):
            trans_id = made_trans_id(job_id, text if sequence is None else sequence, state)
        return _new(Transition, (job_id, state, text, trans_id, sequence))
    reason = _reason(job_id, state, time, raw)
    return Poison(reason, _text(job_id), _text(state), _text(time), _text(trans_id), sequence)


def _reason(job_id: Any, state: Any, time: Any, raw: RawEvent) -> str:
    document = f"document _id {raw.get(DOCUMENT_KEY)!s:.100}"
    if isinstance(job_id, MissingJobId):
        return f"{job_id.reason}; {document}"
    for name, value, kind, expected in (
        ("job id", job_id, str, "text"),
        ("state", state, str, "text"),
        ("time", time, datetime, "a date"),
    ):
        if value is None:
            return f"the {name} is missing; {document}"
        if not isinstance(value, kind):
            return f"the {name} is {type(value).__name__}, not {expected}; {document}"
    raise AssertionError("called for a good transition")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.isoformat()}+00:00"
    return "" if value is None else str(value)


@lru_cache(256)
def _second(days: int, seconds: int) -> str:
    return (_EPOCH + timedelta(days, seconds)).isoformat()


def parse_time(value: Any) -> datetime | None:
    """Convert a date or Unix seconds to a naive UTC date; None for other values."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            whole = datetime.fromtimestamp(value, timezone.utc).replace(tzinfo=None)
        except (OverflowError, OSError, ValueError):
            return None
        return whole.replace(microsecond=whole.microsecond // 1000 * 1000)
    return None
