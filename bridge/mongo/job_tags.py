"""Tags in the jobs: a field that is true until the latest state was sent."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pymongo import IndexModel, UpdateOne
from pymongo.collection import Collection

from bridge.model.profile import Profile
from bridge.model.transition import Poison, Transition
from bridge.mongo.client import Document
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import NO_TIME, JobDocuments, utc_datetime
from bridge.mongo.raw_text import escaped
from bridge.mongo.tag_queries import (
    Item,
    Items,
    find_tagged,
    sweep_index,
    update_tags,
    with_majority,
)

logger = logging.getLogger(__name__)

_MAX_INCONSISTENT = 10_000


class JobTags:
    """A flag in each job, true while its latest state is unsent.

    States in between may be skipped. See ``Tags`` and ``Tagger`` in :mod:`bridge.pipeline.ports`.

    Args:
        tag: the field of a job.
        for_sweeps: the same collection by a client that allows long queries.
    """

    def __init__(
        self,
        collection: Collection[Document],
        profile: Profile,
        tag: str,
        *,
        for_sweeps: Collection[Document] | None = None,
    ) -> None:
        assert profile.updated_field is not None
        self._collection = with_majority(collection)
        self._for_sweeps = with_majority(collection if for_sweeps is None else for_sweeps)
        self._documents = JobDocuments(profile)
        self._tag = tag
        self._updated = profile.updated_field
        self._state = profile.state_field
        self._history = profile.transitions_field
        #: Last transitions that differ from their job's state, so the tag stays; True once sent.
        self._inconsistent: dict[Item, bool] = {}

    def index(self) -> IndexModel:
        """Return the index that finds exactly the tagged jobs."""
        return sweep_index(self._tag, self._updated, tagged=True)

    def index_bounds(self, before: float) -> Document:
        """Return no bounds: each query is a range of the index."""
        return {}

    def queries(self, before: float) -> Iterator[Document]:
        """Yield a query for each kind of time.

        A job without a usable time counts as old.
        """
        for older in ({"$lt": utc_datetime(before)}, {"$lt": before}, *NO_TIME):
            yield {self._tag: True, self._updated: older}

    def pending(self, before: float) -> Iterator[Items]:
        """Yield the last transition of each tagged job.

        A job whose state differs from the end of its history keeps its tag; this object yields it
        until it was sent once. A transition that cannot be sent is yielded, to be dead-lettered, if
        its tag can be removed afterwards.
        """
        for document in find_tagged(self._for_sweeps, self, before, self._documents.fields):
            history = self._documents.history(document)
            state = document.get(self._state)
            last = next(reversed(history.items), None)
            if isinstance(last, Transition) and not self._was_sent_in_vain(last, state):
                yield [last]
            if isinstance(last, Poison) and history.job_id and last.state == state:
                yield [last]

    def earlier(self, items: Items) -> Mapping[str, Items]:
        """Return nothing: this mode may skip earlier states."""
        return {}

    def clear(self, items: Items) -> None:
        """Remove the tags of these jobs, if their state is still the same."""
        latest = {item.job_id: item for item in items}
        update_tags(
            self._collection, [self._remove_tag(item) for item in latest.values() if item.job_id]
        )
        self._inconsistent |= {item: True for item in items if item in self._inconsistent}

    def put(self, items: Items) -> None:
        """Tag the jobs of these transitions."""
        job_ids = [*{item.job_id for item in items if item.job_id}]
        with translated():
            self._collection.update_many(
                self._documents.by_job(job_ids), {"$set": {self._tag: True}}
            )

    def _was_sent_in_vain(self, last: Transition, state: Any) -> bool:
        """Whether ``last`` was sent and its tag stays because the job is in another state.

        Logs a warning the first time.
        """
        if last.state == state:
            return False
        if last not in self._inconsistent:
            if len(self._inconsistent) >= _MAX_INCONSISTENT:
                self._inconsistent.clear()
            self._inconsistent[last] = False
            logger.warning(
                "job %.100s is in state %.100s, but its history ends with %.100s: the latter is "
                "sent once, and the tag stays; correct the state or the history",
                last.job_id,
                escaped(str(state)),
                last.state,
            )
        return self._inconsistent[last]

    def _remove_tag(self, item: Item) -> UpdateOne:
        """Match only if the state that was sent is still the latest, without a return to it.

        The number of transitions shows that, or the time where the job stores no history.
        """
        unchanged: Document = {self._state: item.state, self._tag: True}
        if self._history is None:
            unchanged |= _at_time_of(self._updated, item)
        elif item.sequence is not None:
            unchanged[f"{self._history}.{item.sequence + 1}"] = {"$exists": False}
        return UpdateOne(
            {**self._documents.by_job([item.job_id]), **unchanged}, {"$unset": {self._tag: ""}}
        )


def _at_time_of(field: str, item: Item) -> Document:
    """Return the condition that ``field`` contains the time of ``item``.

    Args:
        field: a date or a number of Unix seconds; the transition has its time in milliseconds.
    """
    if isinstance(item, Poison):
        return {}
    time = datetime.fromisoformat(item.time)
    # The time of a number was rounded, so it may lie slightly below.
    start = time - timedelta(microseconds=1)
    end = time + timedelta(milliseconds=1)
    ranges: list[tuple[Any, Any]] = [(start, end), (start.timestamp(), end.timestamp())]
    return {"$or": [{field: {"$gte": low, "$lt": high}} for low, high in ranges]}
