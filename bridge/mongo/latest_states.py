"""Decodes events of jobs without a history: each change of the state field is a transition."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bridge.model.position import Position
from bridge.model.profile import Profile
from bridge.model.transition import Poison, Transition
from bridge.mongo.client import Document
from bridge.mongo.elements import make_latest, parse_time
from bridge.mongo.event_fields import (
    CHANGED_ID,
    DOCUMENT_KEY,
    JOB_ID,
    OPERATION,
    STATE,
    TIME,
    UPDATED,
    WALL_TIME,
)
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.job_ids import DELETED
from bridge.mongo.job_lookup import JobLookup
from bridge.mongo.known_jobs import KnownJob, StatesAtTime, cache_key
from bridge.mongo.transactions import commit_time

Raw = dict[str, Any]
Items = Sequence[Transition | Poison]


class LatestStates:
    """Makes the transition of an event from the job's new state and the time of its update.

    The identity consists of job, time and state, which a recovery reads in the document too. A job
    that returns to a state at the same time is counted, because consumers would drop a repeat.
    """

    def __init__(self, profile: Profile, documents: JobDocuments, lookup: JobLookup) -> None:
        self._updated_field = profile.updated_field
        self._state_field = profile.state_field
        self._documents = documents
        self._lookup = lookup

    def items(
        self, raw: Raw, job: KnownJob, position: Position, document: Document | None
    ) -> Items:
        """Return the transition of an event; ``document`` is as for ``HistoryChanges``."""
        if job.sequence is None:
            self._identify(raw, job, position, document)
        if STATE not in raw:
            return ()
        element = {STATE: raw[STATE], TIME: self._time(raw, position)}
        nth = 0
        if isinstance(element[TIME], datetime):
            job.states = job.states or StatesAtTime()
            nth = job.states.returns(element[TIME], raw[STATE])
        return (make_latest(job.job_id, element, raw[DOCUMENT_KEY], nth),)

    def _identify(
        self, raw: Raw, job: KnownJob, position: Position, document: Document | None
    ) -> None:
        if not raw.keys() & {JOB_ID, CHANGED_ID}:
            if document is not None and not self._is_after(raw, document):
                # The job changed since, or another job has its _id now.
                image = self._lookup.at(raw[DOCUMENT_KEY], position.cluster_time)
                known = isinstance(job.job_id, str)
                document = (image and image.document) or (None if known else document)
            if document is not None:
                job.job_id = self._documents.job_id(document)
        if document is None and not isinstance(job.job_id, str):
            job.job_id = DELETED
        if isinstance(job.job_id, str):
            job.sequence = 0

    def _is_after(self, raw: Raw, document: Document) -> bool:
        """Whether a document is as the event left it."""
        return document.get(self._state_field) == raw.get(STATE) and (
            UPDATED not in raw or document.get(self._updated_field or "") == raw[UPDATED]
        )

    def _time(self, raw: Raw, position: Position) -> Any:
        """Return the time of the update; the commit's where jobs store no time of their own."""
        if UPDATED in raw:
            return parse_time(raw[UPDATED]) or raw[UPDATED]
        if self._updated_field and raw[OPERATION] == "update":
            # An update does not contain a field whose value stays.
            image = self._lookup.at(raw[DOCUMENT_KEY], position.cluster_time)
            document = (image.document if image else None) or {}
            if document.get(self._state_field) != raw[STATE]:
                return None
            if updated := document.get(self._updated_field):
                return parse_time(updated) or updated
        return parse_time(raw.get(WALL_TIME)) or parse_time(position.cluster_time.seconds)


def only_visible(raws: Sequence[Raw]) -> Sequence[Raw]:
    """Remove the states of a job that its own transaction changed again: no reader saw them."""
    keys = [(commit_time(raw), cache_key(raw.get(DOCUMENT_KEY))) for raw in raws]
    last = {key: raw for key, raw in zip(keys, raws, strict=True) if STATE in raw}
    return [
        raw
        if STATE not in raw or last[key] is raw
        else {name: value for name, value in raw.items() if name != STATE}
        for key, raw in zip(keys, raws, strict=True)
    ]
