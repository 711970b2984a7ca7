"""Decodes shaped change events into events of the bridge.

Optimised, because it runs once per event; tests/unit/test_hot_path.py counts its calls.
"""

import logging
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from bridge.hints import Hint
from bridge.logs import BatchNotes
from bridge.model.position import Position
from bridge.model.profile import Profile
from bridge.model.transition import BEFORE_FIRST, STREAM, Event, Poison, Transition
from bridge.mongo.array_index import NotAnArray
from bridge.mongo.client import Document
from bridge.mongo.elements import EPOCH, make_transition, transitions_of
from bridge.mongo.event_fields import (
    CHANGED_ID,
    CHANGES,
    DOCUMENT_KEY,
    JOB_ID,
    OPERATION,
    PATH,
    STATE,
    TOKEN,
    WALL_TIME,
    WHOLE_ARCHIVE,
    WHOLE_HISTORY,
)
from bridge.mongo.followed_history import whole_array
from bridge.mongo.history_changes import HistoryChanges
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.job_ids import text_of
from bridge.mongo.job_lookup import JobLookup
from bridge.mongo.known_jobs import KnownJob, KnownJobs, cache_key
from bridge.mongo.latest_states import LatestStates, only_visible
from bridge.mongo.raw_text import HANDLER, text_of_id
from bridge.mongo.transactions import last_commit

logger = logging.getLogger(__name__)

#: No document may stop the stream: bad UTF-8 is kept apart, a date out of range stays a number.
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler=HANDLER, datetime_conversion=DatetimeConversion.DATETIME_AUTO
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

#: Errors that the content of an event may cause.
_UNDECODABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BSONError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)

#: The number of paths that are made in advance.
_PATHS = 100

#: Makes a named tuple in half the time of its class.
_new = tuple.__new__

RawEvent = dict[str, Any]
Items = Sequence[Transition | Poison]


def position_of_token(token: RawEvent) -> Position:
    """Return the position right after the event with this resume token, which stays opaque."""
    bits = token.get("_typeBits")
    return Position(token["_data"], bytes(bits).hex() if bits else "")


class Decoder:
    """Decodes the events of a stream.

    An update that appends an element is decoded by itself, if its job is known. All others are
    left to :class:`HistoryChanges` and :class:`LatestStates`, which read the documents.

    Args:
        jobs: the jobs of earlier streams; only their ids are used.
        start: where the stream starts.
    """

    def __init__(
        self, profile: Profile, jobs: KnownJobs, lookup: JobLookup, *, start: Position
    ) -> None:
        self._jobs = jobs
        self._jobs.rewind(start.key)
        self._lookup = lookup
        self._notes = BatchNotes(logger)
        self._id_is_key = profile.id_field == "_id"
        self._current_array = profile.transitions_field
        #: The paths of the first elements, which need not be made for each event.
        self._paths = [f"{profile.transitions_field}.{index}" for index in range(_PATHS)]
        self._wall_time: Any = None
        self._committed: float | None = None
        #: The last events of the previous batch, which may belong to the next one's transaction.
        self._last: list[RawEvent] = []
        documents = JobDocuments(profile)
        self._latest_states = LatestStates(profile, documents, lookup)
        self._history_changes = HistoryChanges(
            profile, documents, lookup, start=start, notes=self._notes
        )

    def decode(self, raws: Sequence[RawEvent]) -> list[Event]:
        """Decode a batch in its order. Raises PyMongo's errors if a lookup fails."""
        jobs, documents = self._jobs_of(raws)
        if self._current_array is None:
            raws = only_visible(raws)
        known = [*self._last, *raws]
        events: list[Event] = []
        for raw, job in zip(raws, jobs, strict=True):
            try:
                event = self._event(raw, job, documents, known)
            except _UNDECODABLE as error:
                event = _undecodable(raw, job, error)
            events.append(event)
        self._last = last_commit(known)
        self._notes.log()
        return events

    def _jobs_of(
        self, raws: Sequence[RawEvent]
    ) -> tuple[Sequence[KnownJob | None], Mapping[Hashable, Document]]:
        """Return the job of each event, and the documents of jobs without a known sequence."""
        unknown: dict[Hashable, Any] = {}
        jobs: list[KnownJob | None] = []
        for raw in raws:
            job = None
            key = raw.get(DOCUMENT_KEY)  # a drop has no document
            if raw[OPERATION] == "update":
                job = self._jobs.get(key)
                if job is None or CHANGED_ID in raw:
                    job = self._remember(key, raw.get(CHANGED_ID, raw.get(JOB_ID)))
                    if CHANGED_ID in raw:
                        job.since = raw[TOKEN]["_data"]
                if job.sequence is None:
                    unknown[cache_key(key)] = key
            elif raw[OPERATION] in _WHOLE_DOCUMENT:
                job = self._remember(key, raw.get(JOB_ID))
                job.since = raw[TOKEN]["_data"]
                # The updates of a new job in its batch need no look-up.
                if raw[OPERATION] == "insert" and isinstance(job.job_id, str):
                    job.sequence = BEFORE_FIRST
            elif raw[OPERATION] == "delete":
                self._jobs.forget(key)
            else:
                self._jobs.forget_all()
            jobs.append(job)
        token = raws[0][TOKEN]["_data"] if raws else ""
        return jobs, self._lookup.current([*unknown.values()], token)

    def _remember(self, key: Any, job_id: Any) -> KnownJob:
        if self._id_is_key:
            # Without a history nothing else is needed.
            job = KnownJob(text_of(key), None if self._current_array else 0)
        else:
            job = KnownJob(job_id)
        self._jobs.remember(key, job)
        return job

    def _event(
        self,
        raw: RawEvent,
        job: KnownJob | None,
        documents: Mapping[Hashable, Document],
        known: Sequence[RawEvent],
    ) -> Event:
        token = raw[TOKEN]
        if len(token) == 1:
            position = _new(Position, (token["_data"], "", ""))
        else:
            position = position_of_token(token)
        # Consecutive events often have the same wall time.
        if (time := raw.get(WALL_TIME)) != self._wall_time:
            self._wall_time = time
            self._committed = (time - EPOCH).total_seconds() if isinstance(time, datetime) else None
        committed = self._committed
        if job is None:
            return Event(position, (), committed, self._skip(raw))
        items = self._appended(raw, job) or self._others(raw, job, position, documents, known)
        return _new(Event, (position, items, committed, "" if items else "no_transition", STREAM))

    def _appended(self, raw: RawEvent, job: KnownJob) -> Items:
        """Return the only new element of a known job, as nearly every event contains."""
        size = job.size
        if size is None or job.sequence is None or job.history is not None:
            return ()
        changes = raw.get(CHANGES, ())
        if len(changes) != 1:
            return ()
        change = changes[0]
        # An element at another index is replaced, and perhaps only a flag of it is new.
        path = self._paths[size] if size < _PATHS else f"{self._current_array}.{size}"
        if change[PATH] != path or STATE not in change:
            return ()
        item = make_transition(job.job_id, job.sequence, change, raw[DOCUMENT_KEY])
        job.sequence = item.sequence
        job.size = size + 1
        job.delivered.append(item)
        return (item,)

    def _others(
        self,
        raw: RawEvent,
        job: KnownJob,
        position: Position,
        documents: Mapping[Hashable, Document],
        known: Sequence[RawEvent],
    ) -> Items:
        if raw[OPERATION] == "insert" and self._current_array:
            return _inserted(raw, job)
        document = documents.get(cache_key(raw[DOCUMENT_KEY])) if job.sequence is None else None
        if self._current_array is None:
            return self._latest_states.items(raw, job, position, document)
        return self._history_changes.items(raw, job, position, document, known)

    def _skip(self, raw: RawEvent) -> str:
        """Note an event without transitions and return the reason that metrics use."""
        operation = raw[OPERATION]
        if operation == "delete":
            self._notes.add("a job was deleted: nothing is sent for it", document_of(raw))
            return "delete"
        unusual = f"the operation {operation} on the collection: nothing is sent for it"
        self._notes.add(_COLLECTION_OPERATIONS.get(operation, unusual))
        return "collection"


def _undecodable(raw: RawEvent, job: KnownJob | None, error: Exception) -> Event:
    """Return the event with a dead letter; the next event of this job reads its document."""
    if job is not None:
        job.history = None
        job.size = None
    if isinstance(error, NotAnArray):
        return dead_letter_of(raw, str(error))
    logger.error("an event cannot be decoded: it is dead-lettered", exc_info=error)
    return dead_letter_of(
        raw, f"the bridge cannot decode it ({type(error).__name__}: {error!s:.200})"
    )


def _inserted(raw: RawEvent, job: KnownJob) -> Items:
    current = whole_array(raw, WHOLE_HISTORY)
    job.size = len(current)
    history = (*whole_array(raw, WHOLE_ARCHIVE), *current)
    elements = [element for element in history if element is not None]
    items = transitions_of(job.job_id, elements, raw[DOCUMENT_KEY])
    if isinstance(job.job_id, str):  # else it is looked up with the next event
        job.sequence = items[-1].sequence if items else BEFORE_FIRST
        job.remember_delivered(items)
    return items


def dead_letter_of(raw: RawEvent, reason: str) -> Event:
    """Return the event with a dead letter in place of its transitions."""
    time = raw.get(WALL_TIME)
    committed = (time - EPOCH).total_seconds() if isinstance(time, datetime) else None
    poison = Poison(f"an event cannot be read: {document_of(raw)}; {reason}")
    return Event(position_of_token(raw[TOKEN]), (poison,), committed)


def document_of(raw: RawEvent) -> str:
    """Name the document of an event."""
    if DOCUMENT_KEY not in raw:
        return "_id unknown"
    return f"document _id {text_of_id(raw[DOCUMENT_KEY])}"
