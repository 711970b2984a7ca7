"""Tags in the transitions of a job: an outbox inside its document.

The service sets a tag with the same write that changes the state; the bridge removes it after Kafka
has acknowledged the message.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from bson.min_key import MinKey
from pymongo import IndexModel, UpdateOne
from pymongo.collection import Collection

from bridge.model.profile import Profile
from bridge.model.transition import Transition, made_trans_id
from bridge.mongo.client import Document
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import JobDocuments, utc_datetime
from bridge.mongo.tag_queries import (
    Item,
    Items,
    find_tagged,
    sweep_index,
    update_tags,
    with_majority,
)


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
        assert profile.transitions_field is not None
        self._collection = with_majority(collection)
        self._for_sweeps = with_majority(collection if for_sweeps is None else for_sweeps)
        self._documents = JobDocuments(profile)
        self._tag = tag
        self._time = profile.transition_time
        self._trans_id = profile.transition_trans_id
        self._state = profile.transition_state
        self._history = profile.transitions_field
        self._tag_path = f"{self._history}.{tag}"
        self._time_path = f"{self._history}.{self._time}"
        self._unsent = {self._tag_path: False}

    def index(self) -> IndexModel:
        """Return the index that finds exactly the tagged transitions."""
        return sweep_index(self._tag_path, self._time_path, tagged=False)

    def index_bounds(self, before: float) -> Document:
        """Return ``min`` and ``max`` of the index, for tag and time of the same transition.

        Without them the planner may bound the tag only.
        """
        return {
            "min": {self._tag_path: False, self._time_path: MinKey()},
            "max": {self._tag_path: False, self._time_path: utc_datetime(before)},
        }

    def queries(self, before: float) -> Iterator[Document]:
        """Yield the query of a sweep.

        Its first term follows from the second, but lets the planner use the partial index.
        """
        transition = {self._tag: False, self._time: {"$lt": utc_datetime(before)}}
        yield {**self._unsent, self._history: {"$elemMatch": transition}}

    def pending(self, before: float) -> Iterator[Items]:
        """Yield the tagged transitions of each job up to the first that is too young.

        A later transition never precedes an earlier one of the same job.
        """
        end = utc_datetime(before).replace(tzinfo=None)
        for document in find_tagged(self._for_sweeps, self, before, self._documents.fields):
            tagged = takewhile(
                lambda pair: _is_older(pair[1].get(self._time), end), self._tagged(document)
            )
            if items := [item for item, _ in tagged]:
                yield items

    def earlier(self, items: Items) -> Mapping[str, Items]:
        """Return by job the tagged transitions before these in its history."""
        first = {item.job_id: item.sequence or 0 for item in items}
        query = {**self._documents.by_job([*first]), **self._unsent}
        with translated():
            documents = list(self._collection.find(query, self._documents.fields))
        by_job: dict[str, Items] = {}
        for document in documents:
            tagged = [item for item, _ in self._tagged(document)]
            before = [item for item in tagged if (item.sequence or 0) < first.get(item.job_id, 0)]
            if before:
                by_job[before[0].job_id] = before
        return by_job

    def clear(self, items: Items) -> None:
        """Mark these transitions as sent, if they are still the same."""
        update_tags(self._collection, [self._mark_sent(item) for item in items if item.job_id])

    def _tagged(self, document: Document) -> Iterator[tuple[Item, Document]]:
        """Yield tagged transitions that can be sent.

        The others would be dead-lettered again by each sweep.
        """
        history = self._documents.history(document)
        for item, element in zip(history.items, history.elements, strict=True):
            if isinstance(item, Transition) and element.get(self._tag) is False:
                yield item, element

    def _mark_sent(self, item: Item) -> UpdateOne:
        """Match by ``trans_id``, wherever and however often it occurs.

        Without a ``trans_id``, match the array index, provided the state there is unchanged.
        """
        job = self._documents.by_job([item.job_id])
        if item.trans_id and item.trans_id != made_trans_id(item.job_id, item.sequence, item.state):
            element = {f"element.{self._trans_id}": item.trans_id}
            # Another state with the same trans_id may still be in flight.
            if isinstance(item, Transition):
                element[f"element.{self._state}"] = item.state
            return UpdateOne(
                {**job, f"{self._history}.{self._trans_id}": item.trans_id},
                {"$set": {f"{self._history}.$[element].{self._tag}": True}},
                array_filters=[element],
            )
        path = f"{self._history}.{item.sequence}"
        same_state = {f"{path}.{self._state}": item.state} if item.state else {}
        return UpdateOne(
            {**job, f"{path}.{self._tag}": False, **same_state},
            {"$set": {f"{path}.{self._tag}": True}},
        )


def _is_older(time: Any, end: datetime) -> bool:
    """Whether a time is before ``end``; other values count as old."""
    return not isinstance(time, datetime) or time < end
