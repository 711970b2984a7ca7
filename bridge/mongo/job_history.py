"""The jobs' own history, read from the collection: in the order of their last update, or by their ids.

Everything is read with majority read concern, as the change stream tells only what a majority has.
"""

from collections.abc import Iterator, Sequence
from math import inf

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from bridge.model.gap import Gap, unix_time_of
from bridge.model.profile import Profile
from bridge.model.transition import Transition
from bridge.mongo.client import Document
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import (
    DATE,
    NO_TIME,
    NUMBER,
    JobDocuments,
    JobHistory,
    date_of,
    recovery_cursor_of,
    time_in,
)
from bridge.mongo.query_plans import scans

_BATCH = 500
_IDS_AT_ONCE = 500
_COUNT_MS = 5000


class JobHistoryReader:
    """The jobs of one collection; nothing here holds more than a few hundred of them at once.

    ``collection`` is one whose client waits long enough for a collection without index to be sorted.
    """

    def __init__(self, collection: Collection[Document], profile: Profile) -> None:
        self._collection = collection.with_options(read_concern=ReadConcern("majority"))
        self._profile = profile
        self._documents = JobDocuments(profile)

    def transitions_in_gap(self, gap: Gap, cursor: str = "") -> Iterator[JobHistory]:
        """The jobs of a gap as ``jobs`` gives them, from ``cursor`` on; then once more those that were updated since it was begun to be read."""
        yield from self.jobs(*_begun(gap, cursor))
        if self._profile.updated_field:
            yield from self.jobs(gap.recent, recovery_cursor_of(NUMBER, gap.recent))

    def jobs(self, since: float | None = None, cursor: str = "") -> Iterator[JobHistory]:
        """Jobs updated at ``since`` (Unix seconds) or later, by the time of their last update; all when it is None.

        First those without a usable update time: they may have been updated at any. With ``cursor`` it goes on there,
        inclusive. A job that is updated meanwhile may come twice, and one whose update time is set back not at all: its writer's clock
        is behind another's. What the primary has when it begins, and a majority not yet, is waited for (MongoDB
        manual, "causal consistency"), since a stream that goes on behind the history does not tell it. Raises the bridge's errors.
        """
        order = [(self._profile.updated_field or "_id", ASCENDING)]
        with (
            translated(),
            self._collection.database.client.start_session(causal_consistency=True) as session,
        ):
            self._collection.database.command(
                "ping", session=session
            )  # its answer has the time that is waited for
            for query in self._queries(since, cursor):
                found = self._collection.find(
                    query, self._documents.fields, sort=order, batch_size=_BATCH, session=session
                )
                with found:
                    yield from map(self._documents.history, found)

    def by_ids(self, job_ids: Sequence[str]) -> Iterator[JobHistory]:
        """The jobs with these ids, as far as there are any."""
        for first in range(0, len(job_ids), _IDS_AT_ONCE):
            query = self._documents.by_job(job_ids[first : first + _IDS_AT_ONCE])
            with translated(), self._collection.find(query, self._documents.fields) as found:
                yield from map(self._documents.history, found)

    def count_in_gap(self, gap: Gap, cursor: str = "") -> int | None:
        """How many jobs ``told`` gives, but for those it gives once more; None when counting takes too long."""
        return self.count(*_begun(gap, cursor))

    def count(self, since: float | None = None, cursor: str = "") -> int | None:
        """How many jobs ``jobs`` would give; None when counting takes too long."""
        queries = self._queries(since, cursor)
        try:
            return sum(
                self._collection.count_documents(query, maxTimeMS=_COUNT_MS) for query in queries
            )
        except PyMongoError:
            return None

    def missing_index(self) -> str:
        """The index that reading by time lacks, as MongoDB names it; empty when there is one."""
        field = self._profile.updated_field
        if not field:
            return ""  # read by _id
        *_, query = self._queries(0.0, "")
        return f"{field}_1" if scans(self._collection, query, sort={field: ASCENDING}) else ""

    def why_older_than(self, delivered: Transition) -> str:
        """Why this collection is older than one from which ``delivered`` was read; empty when it need not be."""
        field = self._profile.updated_field
        if self._profile.transitions_field is None or field is None:
            return ""
        job = next(self.by_ids([delivered.job_id]), None)
        if job is not None:
            # One rewritten in place was told under an identity of its own: it is known by where it stands.
            told = any(
                one.trans_id == delivered.trans_id
                or (one.sequence, one.state) == (delivered.sequence, delivered.state)
                for one in job.items
            )
            older = job.updated is not None and job.updated < unix_time_of(delivered)
            return (
                ""
                if told or not older
                else (
                    f"tells of the state {delivered.state} of job {delivered.job_id:.100}, at {delivered.time}, of which the collection knows nothing"
                )
            )
        newest = self._newest(field)
        if newest is None or newest.updated is None or newest.updated >= unix_time_of(delivered):
            return ""  # deleted, it seems: others are newer
        return f"tells of job {delivered.job_id:.100}, at {delivered.time}, and the collection's newest job is older than that"

    def _newest(self, field: str) -> JobHistory | None:
        with translated():
            found = self._collection.find_one(
                {}, self._documents.fields, sort=[(field, DESCENDING)]
            )
        return self._documents.history(found) if found else None

    def _queries(self, since: float | None, cursor: str) -> Iterator[Document]:
        """Ranges of the index: MongoDB compares times of one kind only, and some services keep numbers."""
        field = self._profile.updated_field
        if field is None:
            yield {}
            return
        kind, reached = time_in(cursor) if cursor else ("", 0.0)
        if not kind:
            yield {"$or": [{field: condition} for condition in NO_TIME]}
        begin = since or 0.0
        # From 0 on is from whenever, also before 1970; not a number is in the first.
        if kind != DATE:
            yield {field: {"$gte": max(begin, reached) or -inf}}
        dates = max(begin, reached if kind == DATE else 0.0)
        yield {field: {"$gte": date_of(dates)} if dates else {"$type": "date"}}


def _begun(gap: Gap, cursor: str) -> tuple[float | None, str]:
    """Where reading a gap goes on: dates come last, so all kinds were read once when they are reached."""
    if not cursor or gap.reread_from is None:
        return gap.since, cursor
    kind, reached = time_in(cursor)
    return (max(gap.since or 0.0, min(reached, gap.reread_from)) if kind == DATE else gap.since), ""
