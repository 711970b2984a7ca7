"""Tags in the jobs: a field that is true until the latest state was sent."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection

from bridge.model.profile import Profile
from bridge.model.transition import Poison, Transition, has_made_trans_id
from bridge.mongo.client import Document
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import NO_TIME, JobDocuments, utc_datetime
from bridge.mongo.raw_text import escaped
from bridge.mongo.tag_queries import (
    Item,
    Items,
    Search,
    date_of,
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
        assert profile.updated_field is not None  # noqa: S101 - for mypy: the settings check it
        self._collection = with_majority(collection)
        self._for_sweeps = with_majority(collection if for_sweeps is None else for_sweeps)
        self._profile = profile
        self._documents = JobDocuments(profile)
        self._tag = tag
        self._updated = profile.updated_field
        self._state = profile.state_field
        #: Last transitions that differ from their job's state, so the tag stays; True once sent.
        self._inconsistent: dict[Item, bool] = {}

    def searches(self, before: float) -> Iterator[Search]:
        """Yield a search for each kind of time; its query is a range of the index.

        A job without a usable time counts as old.
        """
        index = sweep_index(self._tag, self._updated, tagged=True)
        for older in ({"$lt": utc_datetime(before)}, {"$lt": before}, *NO_TIME):
            yield Search({self._tag: True, self._updated: older}, index)

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

        The end of the history shows that, or the time where the job stores no history.
        """
        unchanged: Document = {self._state: item.state, self._tag: True}
        if self._profile.transitions_field is None:
            unchanged |= _at_time_of(self._updated, item)
        else:
            unchanged["$expr"] = _ends_with(item, self._profile)
        return UpdateOne(
            {**self._documents.by_job([item.job_id]), **unchanged}, {"$unset": {self._tag: ""}}
        )


def _ends_with(item: Item, profile: Profile) -> Document:
    """Return the expression that ``item`` is the last transition of a history.

    A :class:`Poison` without a usable time matches a transition without one.
    """
    arrays = [
        {"$cond": [{"$isArray": f"${array}"}, f"${array}", []]} for array in profile.history_fields
    ]
    # MongoDB leaves null where an element was unset.
    elements = {"$filter": {"input": {"$concatArrays": arrays}, "cond": {"$ne": ["$$this", None]}}}
    last_time = f"$$last.{profile.transition_time}"
    same: list[Document] = [
        {"$eq": [f"$$last.{profile.transition_state}", {"$literal": item.state}]}
    ]
    if (date := date_of(item)) is None:
        # In MongoDB's sort order, only dates are between two dates.
        usable = [{"$gte": [last_time, datetime.min]}, {"$lte": [last_time, datetime.max]}]
        same.append({"$not": {"$and": usable}})
    else:
        same.append({"$eq": [last_time, date]})
    if isinstance(item, Transition):
        trans_id = f"$$last.{profile.transition_trans_id}"
        own = {"$cond": [{"$eq": [{"$type": trans_id}, "string"]}, trans_id, ""]}
        sent = "" if has_made_trans_id(item) else item.trans_id
        same.append({"$eq": [own, {"$literal": sent}]})
    return {"$let": {"vars": {"last": {"$last": elements}}, "in": {"$and": same}}}


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
