"""Tags in the jobs themselves: which transitions, or which jobs, are still to be sent.

An outbox kept where the state is kept: the service sets a tag with the very write that changes the
state, and whoever has sent the message takes it off.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Protocol

from bson.min_key import MinKey
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bridge.errors import Misconfigured, NotPermitted
from bridge.model.profile import Profile
from bridge.model.transition import Poison, Transition, made_trans_id
from bridge.mongo.client import Document
from bridge.mongo.errors import Refused, classify, translated
from bridge.mongo.job_documents import NO_TIME, JobDocuments, date_of
from bridge.mongo.query_plans import partial

logger = logging.getLogger(__name__)

_BATCH = 500
#: Jobs that are remembered for their state being another than their history's last.
_MOST_ODD = 10_000
#: BadValue, which the server gives for a hint that names no index.
_NO_SUCH_HINT = 2
#: IndexOptionsConflict, which the server gives for an index that is there under another name.
_OTHER_NAME = 85

Item = Transition | Poison
Items = Sequence[Item]


class TransitionTags:
    """A flag in each transition that is false until it was sent, as the CDM Task Service keeps ``notif_sent``.

    See :class:`bridge.pipeline.ports.Tags`. A sweep is read from ``patient``, the same collection by a client that waits longer.
    """

    def __init__(
        self,
        collection: Collection[Document],
        profile: Profile,
        tag: str,
        patient: Collection[Document] | None = None,
    ) -> None:
        assert profile.transitions_field is not None
        self._collection, self._patient = (
            _durable(collection),
            _durable(collection if patient is None else patient),
        )
        self._documents = JobDocuments(profile)
        self._tag, self._time, self._trans_id = (
            tag,
            profile.transition_time,
            profile.transition_trans_id,
        )
        self._field, self._state = profile.transitions_field, profile.transition_state
        self._tag_path, self._time_path = f"{self._field}.{tag}", f"{self._field}.{self._time}"
        self._unsent = {self._tag_path: False}

    def index(self) -> IndexModel:
        """The index that gives a sweep exactly what it is to send; it holds jobs with a tag only."""
        return _index(self._tag_path, self._time_path, False)

    def bounds(self, before: float) -> Document:
        """``min`` and ``max`` of the index, for tag and time of one transition; left alone, the planner may bound the tag only."""
        least, end = (False, MinKey()), (False, date_of(before))
        paths = (self._tag_path, self._time_path)
        return {
            "min": dict(zip(paths, least, strict=True)),
            "max": dict(zip(paths, end, strict=True)),
        }

    def queries(self, before: float) -> Iterator[Document]:
        """What a sweep asks. The first term is within the second, and lets the planner take the partial index."""
        one = {self._tag: False, self._time: {"$lt": date_of(before)}}
        yield {**self._unsent, self._field: {"$elemMatch": one}}

    def pending(self, before: float) -> Iterator[Items]:
        last = date_of(before).replace(tzinfo=None)
        for document in _found(self._patient, self, before, self._documents.fields):
            # Not one behind another that is too young: it would come first.
            tagged = [
                item
                for item, _ in takewhile(
                    lambda pair: _older(pair[1].get(self._time), last), self._tagged(document)
                )
            ]
            if tagged:
                yield tagged

    def earlier(self, items: Items) -> Mapping[str, Items]:
        first = {item.job_id: item.sequence or 0 for item in items}
        query = {**self._documents.by_job([*first]), **self._unsent}
        found: dict[str, Items] = {}
        with translated():
            documents = list(self._collection.find(query, self._documents.fields))
        for document in documents:
            tagged = [item for item, _ in self._tagged(document)]
            before = [item for item in tagged if (item.sequence or 0) < first.get(item.job_id, 0)]
            if before:
                found[before[0].job_id] = before
        return found

    def clear(self, items: Items) -> None:
        _write(self._collection, [self._sent(item) for item in items if item.job_id])

    def _tagged(self, document: Document) -> Iterator[tuple[Item, Document]]:
        """What is tagged and can be sent: the rest would be set aside anew by each sweep."""
        history = self._documents.history(document)
        for item, one in zip(history.items, history.elements, strict=True):
            if isinstance(item, Transition) and one.get(self._tag) is False:
                yield item, one

    def _sent(self, item: Item) -> UpdateOne:
        """By its identity, wherever it stands and as often; one that has none by its place, if that is still the same."""
        job = self._documents.by_job([item.job_id])
        if item.trans_id and item.trans_id != made_trans_id(item.job_id, item.sequence, item.state):
            same, sent = (
                {f"{self._field}.{self._trans_id}": item.trans_id},
                {f"{self._field}.$[one].{self._tag}": True},
            )
            one = {f"one.{self._trans_id}": item.trans_id}
            if isinstance(
                item, Transition
            ):  # another state of the same identity may still be on its way
                one[f"one.{self._state}"] = item.state
            return UpdateOne({**job, **same}, {"$set": sent}, array_filters=[one])
        place = f"{self._field}.{item.sequence}"
        same = {f"{place}.{self._state}": item.state} if item.state else {}
        return UpdateOne(
            {**job, f"{place}.{self._tag}": False, **same}, {"$set": {f"{place}.{self._tag}": True}}
        )


class JobTags:
    """A field of the job that is true while its latest state is still to be sent. See :class:`TransitionTags`."""

    def __init__(
        self,
        collection: Collection[Document],
        profile: Profile,
        tag: str,
        patient: Collection[Document] | None = None,
    ) -> None:
        assert profile.updated_field is not None
        self._collection, self._patient = (
            _durable(collection),
            _durable(collection if patient is None else patient),
        )
        self._documents = JobDocuments(profile)
        self._tag, self._updated = tag, profile.updated_field
        self._state, self._field = profile.state_field, profile.transitions_field
        #: Last transitions that are not their job's state, whose tag stays; and whether they were sent.
        self._odd: dict[Item, bool] = {}

    def index(self) -> IndexModel:
        """The index that gives a sweep exactly what it is to send; it holds tagged jobs only."""
        return _index(self._tag, self._updated, True)

    def bounds(self, before: float) -> Document:
        """None are needed: a job has one tag and one time, and each query is a range of the index."""
        return {}

    def queries(self, before: float) -> Iterator[Document]:
        """What a sweep asks, one for each kind of time; a job without time is old, and so is one whose time is none."""
        for older in ({"$lt": date_of(before)}, {"$lt": before}, *NO_TIME):
            yield {self._tag: True, self._updated: older}

    def pending(self, before: float) -> Iterator[Items]:
        """A job whose state and history disagree keeps its tag, and is told until it is sent once by this object.

        One that cannot be sent is told, to be set aside, where its tag can be taken off then.
        """
        for document in _found(self._patient, self, before, self._documents.fields):
            history, state = self._documents.history(document), document.get(self._state)
            last = next(reversed(history.items), None)
            if isinstance(last, Transition) and not self._sent_in_vain(last, state):
                yield [last]
            if isinstance(last, Poison) and history.job_id and last.state == state:
                yield [last]

    def earlier(self, items: Items) -> Mapping[str, Items]:
        return {}  # states in between may be skipped

    def clear(self, items: Items) -> None:
        latest = {item.job_id: item for item in items}
        _write(self._collection, [self._sent(item) for item in latest.values() if item.job_id])
        self._odd |= {item: True for item in items if item in self._odd}

    def put(self, items: Items) -> None:
        job_ids = [*{item.job_id for item in items if item.job_id}]
        with translated():
            self._collection.update_many(
                self._documents.by_job(job_ids), {"$set": {self._tag: True}}
            )

    def _sent_in_vain(self, last: Transition, state: Any) -> bool:
        """Whether it was sent and its tag stays, since the job says that it is in another state; says so the first time."""
        if last.state == state:
            return False
        if last not in self._odd:
            if len(self._odd) >= _MOST_ODD:
                self._odd.clear()
            self._odd[last] = False
            logger.warning(
                "job %.100s is in state %.100s and its history ends with %.100s: that is sent once, and the tag stays; "
                "correct the one or the other",
                last.job_id,
                state,
                last.state,
            )
        return self._odd[last]

    def _sent(self, item: Item) -> UpdateOne:
        """Only if the state is still the one sent, also where a later transition brought it back to that: without a history its time tells."""
        same: Document = {self._state: item.state, self._tag: True}
        if self._field is None:
            same |= _within_a_millisecond(self._updated, item)
        elif item.sequence is not None:
            same[f"{self._field}.{item.sequence + 1}"] = {"$exists": False}
        return UpdateOne(
            {**self._documents.by_job([item.job_id]), **same}, {"$unset": {self._tag: ""}}
        )


class Sweepable(Protocol):
    """Tags that can be looked for; ``bounds`` are options of ``find`` by their index."""

    def index(self) -> IndexModel: ...

    def bounds(self, before: float) -> Document: ...

    def queries(self, before: float) -> Iterator[Document]: ...


class Sweep:
    """What can be said and done about the sweep of ``tags`` in ``collection``, but for sending."""

    def __init__(self, collection: Collection[Document], tags: Sweepable) -> None:
        self._collection, self._tags = _durable(collection), tags

    def count(self, before: float) -> int:
        """How many jobs a sweep would find."""
        return sum(1 for _ in _found(self._collection, self._tags, before, {"_id": 1}))

    def missing_index(self) -> str:
        """The index a sweep lacks; empty when there is that, or one of the service's that holds tagged jobs only."""
        name = _name(self._tags)
        # Where there is no collection MongoDB takes any hint, but its plan reads no index.
        options = {"hint": name} if _has_index(self._collection, name) else {}
        return (
            ""
            if all(partial(self._collection, query, **options) for query in self._tags.queries(0.0))
            else name
        )

    def create_index(self) -> None:
        """Make it; MongoDB builds it without stopping the service. Raises :class:`Misconfigured` where it has another name."""
        try:
            self._collection.create_indexes([self._tags.index()])
        except PyMongoError as error:
            if not isinstance(error, OperationFailure) or error.code != _OTHER_NAME:
                raise classify(error) from error
            said = (error.details or {}).get("errmsg", "")
            raise Misconfigured(
                f"The sweep's index is there under another name: {said}",
                "Nothing was changed; a sweep knows its index by the name",
                "Drop that index, then 'job-bridge sweep --create-index' again",
            ) from None

    def check_rights(self) -> None:
        """Raise what taking tags off would raise for want of rights; changes nothing."""
        _write(
            self._collection, [UpdateOne({"_id": None, "never": True}, {"$set": {"checked": True}})]
        )


def _durable(collection: Collection[Document]) -> Collection[Document]:
    return collection.with_options(
        read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority")
    )


def _older(time: Any, than: datetime) -> bool:
    """Whether a time is before ``than``; what is no time is old."""
    return not isinstance(time, datetime) or time < than


def _within_a_millisecond(field: str, item: Item) -> Document:
    """That ``field`` is the time of a transition, which is cut to milliseconds; it may be a date or a number of seconds."""
    if isinstance(item, Poison):
        return {}
    time = datetime.fromisoformat(item.time)
    begin, end = (
        time - timedelta(microseconds=1),
        time + timedelta(milliseconds=1),
    )  # a number was rounded before
    ends: list[tuple[Any, Any]] = [(begin, end), (begin.timestamp(), end.timestamp())]
    return {"$or": [{field: {"$gte": begin, "$lt": end}} for begin, end in ends]}


def _index(tag: str, time: str, tagged: bool) -> IndexModel:
    """The index on ``tag`` and ``time``, of what is tagged only.

    Its name says what it is made of, by characters that no field has: a hint to an index with another
    filter hides jobs without an error, and to read what an index is made of takes a right that we do not ask for.
    """
    return IndexModel(
        [(tag, ASCENDING), (time, ASCENDING)],
        name=f"job_bridge_sweep-{tag}-{time}",
        partialFilterExpression={tag: tagged},
    )


def _name(tags: Sweepable) -> str:
    return str(tags.index().document["name"])


def _found(
    collection: Collection[Document], tags: Sweepable, before: float, fields: Document
) -> Iterator[Document]:
    """By our index where it is there: MongoDB might take one on the time alone, and look at every job."""
    name = _name(tags)
    options = {"hint": name, **tags.bounds(before)} if _has_index(collection, name) else {}
    for query in tags.queries(before):
        with translated(), collection.find(query, fields, batch_size=_BATCH, **options) as found:
            yield from found


def _has_index(collection: Collection[Document], name: str) -> bool:
    """Whether our index is there, if the collection is; asked in a way that needs no right but to find."""
    try:
        collection.find_one({"_id": None}, hint=name)
    except PyMongoError as error:
        if not isinstance(error, OperationFailure) or error.code != _NO_SUCH_HINT:
            raise classify(error) from error
        return False
    return True


def _write(collection: Collection[Document], updates: Sequence[UpdateOne]) -> None:
    if not updates:
        return
    try:
        with translated():
            collection.bulk_write(updates, ordered=False)
    except Refused as error:
        logger.warning(
            "%s: the messages are sent, their tags stay, and each sweep sends them again",
            error.what,
        )
    except NotPermitted as error:
        raise NotPermitted(
            error.what,
            "Nothing is lost: the tags are still there, and what was sent is sent again",
            "Grant update on the collection: a background mode takes tags off",
            part="mongodb",
        ) from None
