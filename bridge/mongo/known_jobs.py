"""The jobs of the latest events: an update event contains neither job id nor earlier elements."""

from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import Any

from bson.objectid import ObjectId

from bridge.model.transition import Poison, Transition
from bridge.mongo import raw_text
from bridge.mongo.followed_history import FollowedHistory

#: Far more jobs than run at once. The limit keeps memory constant however many jobs follow.
MAX_JOBS = 10_000
#: The transitions kept for a job whose history is rewritten again and again.
_MAX_DELIVERED = 1000


class KnownJob:
    """A job of the stream.

    Attributes:
        job_id: its id; any value that is not text cannot be sent.
        sequence: the sequence of the latest transition that was delivered; None until the stream
            has delivered one, or if the job id cannot be sent.
        size: the length of the current array, null elements included; None if it is not known.
        delivered: the transitions that the stream has delivered.
        history: None if the history only grew at its end, because an event then contains all that
            is needed.
        since: the resume token of the event that gave the document this id; empty if it is older.
        states: the latest states, for a profile without history.
    """

    __slots__ = ("delivered", "history", "job_id", "sequence", "since", "size", "states")

    def __init__(self, job_id: Any, sequence: int | None = None) -> None:
        self.job_id = job_id
        self.sequence = sequence
        self.since = ""
        self.size: int | None = None
        self.delivered: list[Transition | Poison] = []
        self.history: FollowedHistory | None = None
        self.states: StatesAtTime | None = None

    def remember_delivered(self, items: Iterable[Transition | Poison]) -> None:
        """Add these transitions; forget the earlier ones if there are too many."""
        if len(self.delivered) > _MAX_DELIVERED:
            self.delivered = []
        self.delivered += items


class StatesAtTime:
    """The states that a job had at the same time, in their order."""

    def __init__(self) -> None:
        self._time: datetime | None = None
        self._states: list[Any] = []

    def returns(self, time: datetime, state: Any) -> int:
        """Add a state; return how often the job had left it at this time."""
        if time != self._time:
            self._time = time
            self._states = []
        if self._states[-1:] != [state]:
            self._states.append(state)
        return self._states.count(state) - 1


class KnownJobs:
    """A cache of jobs by ``_id``, which drops its older half when full.

    Args:
        max_jobs: the limit; at least two jobs are kept.
    """

    def __init__(self, max_jobs: int = MAX_JOBS) -> None:
        self._half = max(1, max_jobs // 2)
        # Dropping a dict takes half the time of dropping its oldest entries individually.
        self._newer: dict[Any, KnownJob] = {}
        self._older: dict[Any, KnownJob] = {}

    def remember(self, key: Any, job: KnownJob) -> None:
        """Store the job of the document ``key``."""
        # Inlined for ObjectId, nearly every key: saves a call per event.
        known = key.binary if type(key) is ObjectId else cache_key(key)
        if len(self._newer) >= self._half and known not in self._newer:
            self._older = self._newer
            self._newer = {}
        self._newer[known] = job

    def get(self, key: Any) -> KnownJob | None:
        """Return the job of the document ``key``, or None."""
        known = key.binary if type(key) is ObjectId else cache_key(key)
        if known in self._newer:
            return self._newer[known]
        return self._older.get(known)

    def forget(self, key: Any) -> None:
        """Forget a deleted document: another job may use its ``_id`` later."""
        known = cache_key(key)
        self._newer.pop(known, None)
        self._older.pop(known, None)

    def forget_all(self) -> None:
        """Forget the documents of a collection that was dropped or renamed."""
        self._newer.clear()
        self._older.clear()

    def rewind(self, start: str) -> None:
        """Keep the job ids only, for a stream that may deliver earlier events again.

        Ids that documents got after ``start`` are forgotten: the earlier events of such a document
        may belong to another job. The stream delivers the events with these ids again.

        Args:
            start: the resume token that the stream starts at, or the digits of its cluster time.
        """
        self._newer = _rewound(self._newer, start)
        self._older = _rewound(self._older, start)


def _rewound(jobs: dict[Any, KnownJob], start: str) -> dict[Any, KnownJob]:
    rewound = {}
    for key, job in jobs.items():
        if job.since <= start:
            rewound[key] = KnownJob(job.job_id)
            rewound[key].since = job.since
    return rewound


def cache_key(key: Any) -> Hashable:
    """Return a hashable value that is equal for equal ``_id`` values only.

    An ObjectId is replaced by its bytes, because it compares itself in Python, five times slower.
    Any other type but text is replaced by its BSON, which distinguishes as MongoDB does: ``true``
    is not 1. BSON of a document is never 12 bytes long, so it equals no ObjectId.
    """
    kind = type(key)
    if kind is ObjectId:
        binary: bytes = key.binary
        return binary
    return key if kind is str else raw_text.encode({"_id": key})
