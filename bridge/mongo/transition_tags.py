"""Tags in the transitions of a job: an outbox inside its document.

The service sets a tag with the same write that changes the state; the bridge removes it after Kafka
has acknowledged the message. A tag moves to the archive with its transition.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from bson.min_key import MinKey
from pymongo import UpdateOne
from pymongo.collection import Collection

from bridge.model.job_history import JobHistory
from bridge.model.profile import Profile
from bridge.model.transition import Transition, has_made_trans_id
from bridge.mongo.client import Document
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import JobDocuments, utc_datetime
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

#: The condition for a field without a date that Python can represent.
_NO_DATE: Document = {"$not": {"$gte": datetime.min, "$lte": datetime.max}}


class TransitionTags:
    """A flag in each transition, false until the transition was sent.

    The CDM Task Service keeps it as ``notif_sent``. See :class:`bridge.pipeline.ports.Tags`.

    Args:
        tag: the field of a transition.
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
        # The settings check it.
        assert profile.transitions_field is not None  # noqa: S101 - for mypy
        self._collection = with_majority(collection)
        self._for_sweeps = with_majority(collection if for_sweeps is None else for_sweeps)
        self._documents = JobDocuments(profile)
        self._tag = tag
        self._time = profile.transition_time
        self._trans_id = profile.transition_trans_id
        self._state = profile.transition_state
        self._arrays = profile.history_fields

    def searches(self, before: float) -> Iterator[Search]:
        """Yield a search for each array of the history.

        - The first term of a query follows from the second, but lets the planner use the partial
          index.
        - ``min`` and ``max`` bound tag and time of the same transition; without them the planner
          may bound the tag only.
        """
        old = {"$elemMatch": {self._tag: False, self._time: {"$lt": utc_datetime(before)}}}
        for number, array in enumerate(self._arrays):
            tag, time = f"{array}.{self._tag}", f"{array}.{self._time}"
            query: Document = {tag: False, array: old}
            if number:
                query["$nor"] = [{earlier: old} for earlier in self._arrays[:number]]
            yield Search(
                query,
                sweep_index(tag, time, tagged=False),
                {
                    "min": {tag: False, time: MinKey()},
                    "max": {tag: False, time: utc_datetime(before)},
                },
            )

    def pending(self, before: float) -> Iterator[Items]:
        """Yield the tagged transitions of each job up to the first that is too young.

        A later transition never precedes an earlier one of the same job.
        """
        end = utc_datetime(before).replace(tzinfo=None)
        for document in find_tagged(self._for_sweeps, self, before, self._documents.fields):
            history = self._documents.history(document)
            tagged = takewhile(
                lambda pair: _is_older(pair[1].get(self._time), end), self._tagged(history)
            )
            if items := [item for item, _ in tagged]:
                yield items

    def earlier(self, items: Items) -> Mapping[str, Items]:
        """Return by job the tagged transitions before these in its history.

        The query contains job ids only, so that MongoDB uses their index.
        """
        by_job = {item.job_id: item for item in items}
        query = self._documents.by_job([*by_job])
        with translated():
            documents = list(self._collection.find(query, self._documents.fields))
        earlier: dict[str, Items] = {}
        for document in documents:
            history = self._documents.history(document)
            if (item := by_job.get(history.job_id)) is None:
                continue
            end = _place_of(item, history.items)
            before = history._replace(items=history.items[:end], elements=history.elements[:end])
            if tagged := [other for other, _ in self._tagged(before)]:
                earlier[history.job_id] = tagged
        return earlier

    def clear(self, items: Items) -> None:
        """Mark these transitions as sent, if they are still the same.

        The current array comes first: the service moves a transition in one direction only, so it
        is found in the archive afterwards. Nearly every write ends there.
        """
        items = [item for item in items if item.job_id]
        for array in reversed(self._arrays):
            updates = [self._mark_sent(item, array) for item in items]
            if update_tags(self._collection, updates) == len(updates):
                return

    def _tagged(self, history: JobHistory) -> Iterator[tuple[Item, Document]]:
        """Yield tagged transitions that can be sent.

        The others would be dead-lettered again by each sweep.
        """
        for item, element in zip(history.items, history.elements, strict=True):
            if isinstance(item, Transition) and element.get(self._tag) is False:
                yield item, element

    def _mark_sent(self, item: Item, array: str) -> UpdateOne:
        """Match by ``trans_id``, wherever and however often it occurs in the array.

        Without a ``trans_id``, match by state and time. Equal transitions are several then, so only
        the first tag is removed.
        """
        job = self._documents.by_job([item.job_id])
        if item.trans_id and not has_made_trans_id(item):
            same: Document = {self._trans_id: item.trans_id}
            # Another state with the same trans_id may still be in flight.
            if isinstance(item, Transition):
                same[self._state] = item.state
            return UpdateOne(
                {**job, array: {"$elemMatch": {**same, self._tag: False}}},
                {"$set": {f"{array}.$[element].{self._tag}": True}},
                array_filters=[{f"element.{name}": value for name, value in same.items()}],
            )
        equal = {
            # The service gave it no identity: the field does not contain text with a character.
            self._trans_id: {"$not": {"$gt": ""}},
            self._state: item.state or {"$in": [None, ""]},
            self._time: date_of(item) or _NO_DATE,
            self._tag: False,
        }
        return UpdateOne(
            {**job, array: {"$elemMatch": equal}}, {"$set": {f"{array}.$.{self._tag}": True}}
        )


def _is_older(time: Any, end: datetime) -> bool:
    """Whether a time is before ``end``; other values count as old."""
    return not isinstance(time, datetime) or time < end


def _place_of(item: Item, items: Items) -> int:
    """Return how many of the transitions of a history come before ``item``.

    Its sequence decides only if the history no longer contains it: the sequence of later
    transitions may change when the service removes the first.
    """
    for place, other in enumerate(items):
        if item.trans_id and (other.trans_id, other.state) == (item.trans_id, item.state):
            return place
    for place, other in enumerate(items):
        if (other.state, other.time) == (item.state, item.time):
            return place
    return sum((other.sequence or 0) < (item.sequence or 0) for other in items)
