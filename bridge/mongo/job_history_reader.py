"""Reads the jobs' history, by the time of the last update or by job ids.

All reads have read concern ``majority``, as the change stream has.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from bridge.model.gap import CREATED, Gap, unix_time_of
from bridge.model.job_history import JobHistory
from bridge.model.profile import Profile
from bridge.model.transition import Transition
from bridge.mongo.client import Document
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import (
    DATE,
    NO_TIME,
    NUMBER,
    JobDocuments,
    created_cursor_of,
    created_since,
    parse_recovery_cursor,
    recovery_cursor_of,
    utc_datetime,
)
from bridge.mongo.query_plans import lacks_index
from bridge.mongo.raw_text import escaped

_BATCH_SIZE = 500
_IDS_PER_QUERY = 500
_COUNT_MS = 5000
_BY_ID = {"hint": [("_id", ASCENDING)]}


class _Part(NamedTuple):
    """A range of an index.

    Attributes:
        order: the field of the index.
        history: reads a document.
        options: the index, where MongoDB might choose another.
    """

    query: Document
    order: str
    history: Callable[[Document], JobHistory]
    options: Mapping[str, Any] = MappingProxyType({})


class JobHistoryReader:
    """Reads the jobs of a collection, a few hundred at a time.

    Args:
        collection: its client must allow queries that sort a collection without an index.
    """

    def __init__(self, collection: Collection[Document], profile: Profile) -> None:
        self._collection = collection.with_options(read_concern=ReadConcern("majority"))
        self._profile = profile
        self._documents = JobDocuments(profile)

    def transitions_in_gap(self, gap: Gap, cursor: str = "") -> Iterator[JobHistory]:
        """Yield the jobs of a gap, as :meth:`jobs` does, from ``cursor`` on.

        Jobs that were created in the gap although their update time is older, as by an import, come
        before those with a newer update time: such a job may be updated during the read, and is
        then read later. Only an ObjectId in ``_id`` shows when a job was created.

        Afterwards, jobs updated since the start of the recovery are yielded a second time.
        """
        yield from self._read(self._parts_of_gap(gap, cursor))
        if self._profile.updated_field:
            yield from self.jobs(gap.recent, recovery_cursor_of(NUMBER, gap.recent))

    def jobs(self, since: float | None = None, cursor: str = "") -> Iterator[JobHistory]:
        """Yield jobs by the time of their last update.

        Jobs without a usable update time come first: they may have changed at any time. A job
        updated during the read may be yielded twice. A job whose update time moves back meanwhile,
        because the clock of its writer is slow, may be skipped.

        The read waits until a majority has every write that the primary had at the start (MongoDB
        manual, "causal consistency"), because the stream that follows will not deliver those.

        Args:
            since: the oldest update time, in Unix seconds; None for all jobs.
            cursor: the recovery cursor of the first job.

        Raises:
            BridgeError: the bridge's error for each of PyMongo's.
        """
        yield from self._read(self._parts(since, cursor))

    def _read(self, parts: Iterable[_Part]) -> Iterator[JobHistory]:
        with (
            translated(),
            self._collection.database.client.start_session(causal_consistency=True) as session,
        ):
            # The reply contains the time that the session then waits for.
            self._collection.database.command("ping", session=session)
            for part in parts:
                with self._collection.find(
                    part.query,
                    self._documents.fields,
                    sort=[(part.order, ASCENDING)],
                    batch_size=_BATCH_SIZE,
                    session=session,
                    **part.options,
                ) as documents:
                    yield from map(part.history, documents)

    def by_ids(self, job_ids: Sequence[str]) -> Iterator[JobHistory]:
        """Yield the existing jobs among these ids, in MongoDB's order."""
        for first in range(0, len(job_ids), _IDS_PER_QUERY):
            query = self._documents.by_job(job_ids[first : first + _IDS_PER_QUERY])
            with translated(), self._collection.find(query, self._documents.fields) as documents:
                yield from map(self._documents.history, documents)

    def count_in_gap(self, gap: Gap, cursor: str = "") -> int | None:
        """Count the jobs of a gap, each once; None if that takes too long."""
        return self._count(self._parts_of_gap(gap, cursor))

    def count(self, since: float | None = None, cursor: str = "") -> int | None:
        """Count the jobs that :meth:`jobs` yields; None if that takes too long."""
        return self._count(self._parts(since, cursor))

    def _count(self, parts: Iterable[_Part]) -> int | None:
        try:
            return sum(self._count_part(part) for part in parts)
        except PyMongoError:
            return None

    def _count_part(self, part: _Part) -> int:
        return self._collection.count_documents(part.query, maxTimeMS=_COUNT_MS, **part.options)

    def shared_ids(self, max_ids: int) -> list[str]:
        """Return some job ids that several documents have; empty also if that takes too long."""
        field = self._profile.id_field
        if field == "_id":
            return []
        stages: list[Document] = [
            {"$group": {"_id": f"${field}", "documents": {"$sum": 1}}},
            {"$match": {"_id": {"$type": "string"}, "documents": {"$gt": 1}}},
            {"$limit": max_ids},
        ]
        try:
            shared = self._collection.aggregate(stages, maxTimeMS=_COUNT_MS).to_list()
        except PyMongoError:
            return []
        return [escaped(document["_id"])[:100] for document in shared]

    def unindexed_field(self) -> str:
        """Return the field whose index reading by time lacks; empty if the index exists."""
        field = self._profile.updated_field
        if not field:
            return ""  # read by _id
        *_, by_date = self._parts(0.0, "")
        unindexed = lacks_index(self._collection, by_date.query, sort={field: ASCENDING})
        return field if unindexed else ""

    def why_older_than(self, delivered: Transition) -> str:
        """Explain why the collection looks restored from a backup taken before ``delivered``.

        Empty if it does not.
        """
        field = self._profile.updated_field
        if self._profile.transitions_field is None or field is None:
            return ""
        # Several: their ids are values of different types with the same text.
        if jobs := list(self.by_ids([delivered.job_id])):
            moment = unix_time_of(delivered)
            older = all(job.updated is not None and job.updated < moment for job in jobs)
            if not older or any(_contains(job, delivered) for job in jobs):
                return ""
            return (
                f"ends with the state {delivered.state} of job {delivered.job_id:.100}, at "
                f"{delivered.time}, which the collection does not contain"
            )
        newest = self._newest(field)
        if newest is None or newest.updated is None or newest.updated >= unix_time_of(delivered):
            return ""  # probably deleted, as other jobs are newer
        return (
            f"ends with job {delivered.job_id:.100}, at {delivered.time}, and the collection's "
            "newest job is older than that"
        )

    def _newest(self, field: str) -> JobHistory | None:
        with translated():
            document = self._collection.find_one(
                {}, self._documents.fields, sort=[(field, DESCENDING)]
            )
        return self._documents.history(document) if document else None

    def _parts_of_gap(self, gap: Gap, cursor: str) -> Iterator[_Part]:
        return self._parts(*_start_of(gap, cursor), with_created=True)

    def _parts(
        self, since: float | None, cursor: str, *, with_created: bool = False
    ) -> Iterator[_Part]:
        """Yield ranges of an index, in the order of their recovery cursors.

        MongoDB compares times of the same kind only, and some services store numbers.

        Args:
            with_created: include jobs with an older update time that were created since.
        """
        field = self._profile.updated_field
        history = self._documents.history
        if field is None:
            yield _Part({}, "_id", history)
            return
        kind, reached = cursor[:1], 0.0
        if kind in (NUMBER, DATE):
            kind, reached = parse_recovery_cursor(cursor)
        if not kind:
            yield _Part({"$or": [{field: condition} for condition in NO_TIME]}, field, history)
        start = since or 0.0
        if with_created and start > 0 and kind in ("", CREATED):
            query = created_since(start, cursor)
            query["$or"] = [{field: {"$lt": start}}, {field: {"$lt": utc_datetime(start)}}]
            # With the index of the update time MongoDB might read all older jobs.
            yield _Part(query, "_id", self._created, _BY_ID)
        # A start of 0 includes times before 1970. The first query returns NaN.
        if kind != DATE:
            yield _Part({field: {"$gte": max(start, reached) or -inf}}, field, history)
        date = max(start, reached if kind == DATE else 0.0)
        condition = {"$gte": utc_datetime(date)} if date else {"$type": "date"}
        yield _Part({field: condition}, field, history)

    def _created(self, document: Document) -> JobHistory:
        cursor = created_cursor_of(document["_id"])
        return self._documents.history(document)._replace(recovery_cursor=cursor)


def _contains(job: JobHistory, delivered: Transition) -> bool:
    """Whether the job contains a delivered transition.

    State and time identify an element that was delivered before the service gave it an identity.
    """
    return any(
        item.trans_id == delivered.trans_id
        or (item.state, item.time) == (delivered.state, delivered.time)
        for item in job.items
    )


def _start_of(gap: Gap, cursor: str) -> tuple[float | None, str]:
    """Return the time and the cursor at which reading of a gap resumes.

    Dates come last, so a cursor at a date means that all other kinds were read.
    """
    if not cursor or gap.reread_from is None:
        return gap.since, cursor
    kind, reached = parse_recovery_cursor(cursor)
    if kind != DATE:
        return gap.since, ""
    return max(gap.since or 0.0, min(reached, gap.reread_from)), ""
