"""Plays random histories of many jobs at once, and repeats a single job's writes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bson import Binary, ObjectId
from pymongo import UpdateMany, UpdateOne, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from tests.support.array_operators import draw_write
from tests.support.array_writes import SHOWN, Document, Pen, Write, readable
from tests.support.history_oracle import HistoryOracle
from tests.support.source_under_test import SourceUnderTest


@dataclass(frozen=True)
class Commit:
    """The writes to a job that became visible together; none if ``aborted``."""

    writes: list[Write]
    in_transaction: bool = False
    aborted: bool = False

    def __str__(self) -> str:
        writes = "; ".join(map(str, self.writes))
        name = "aborted transaction" if self.aborted else "transaction"
        return f"{name} [{writes}]" if self.in_transaction else writes


@dataclass
class JobStory:
    """A job, its commits so far, and the oracle that saw them."""

    key: Any
    pen: Pen
    oracle: HistoryOracle
    job: Document = field(default_factory=dict)
    commits: list[tuple[Commit, str]] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return bool(self.job) and not self.oracle.deleted

    def note(self, commit: Commit) -> None:
        self.oracle.commit()
        history = {name: self.job[name] for name in SHOWN if name in self.job}
        self.commits.append((commit, readable(history)))

    def __str__(self) -> str:
        lines = [
            f"  {number}. {commit}\n     -> {after}"
            for number, (commit, after) in enumerate(self.commits, 1)
        ]
        return "\n".join([f"job {self.pen.job_id}, _id {self.key!r}:", *lines])


class Chronicle:
    """Writes the histories of many jobs, interleaved.

    Args:
        arrays: The fields of the history in its order.
        between: called between two commits, to read the stream meanwhile.
    """

    def __init__(
        self,
        jobs: SourceUnderTest,
        random: Random,
        arrays: Sequence[str],
        between: Callable[[], object] = lambda: None,
    ) -> None:
        self._client = jobs.client
        # The stream waits for the majority in any case.
        self._collection = jobs.collection.with_options(write_concern=WriteConcern(1))
        self._random = random
        self._arrays = arrays
        self._between = between
        self._commits = 0
        self.stories: list[JobStory] = []

    def play(self, jobs: int, commits: int) -> None:
        """Insert ``jobs`` jobs in all; ``commits`` commits each, about, insert included."""
        for _ in range(jobs * commits):
            self._between()
            if len(self.stories) < jobs and self._random.random() < 2 / commits:
                self._insert()
            elif alive := [story for story in self.stories if story.alive]:
                self._change(alive)

    def _insert(self) -> None:
        gone = [story.key for story in self.stories if not story.alive]
        used = {str(story.key) for story in self.stories if story.alive}
        key = self._key()
        if gone and self._random.random() < 0.5 and str(gone[-1]) not in used:
            key = gone[-1]
        story = self.new_story(key, f"job-{len(self.stories)}-{uuid.uuid4().hex[:6]}")
        self._commit(story, story.pen.insert())

    def new_story(self, key: Any, job_id: str) -> JobStory:
        story = JobStory(key, Pen(self._random, job_id), HistoryOracle(job_id, self._arrays))
        self.stories.append(story)
        return story

    def _key(self) -> Any:
        number = self._random.getrandbits(60)
        return self._random.choice(
            (
                ObjectId(),
                ObjectId(),
                ObjectId(),
                f"key-{number}",
                number,
                Binary.from_uuid(uuid.uuid4()),
            )
        )

    def _change(self, alive: list[JobStory]) -> None:
        draw = self._random.random()
        story = self._random.choice(alive)
        if draw < 0.12:
            self._transaction(self._random.sample(alive, min(len(alive), 3)))
        elif draw < 0.17:
            self._bulk(self._random.sample(alive, min(len(alive), 4)))
        elif draw < 0.19:
            self._commit(story, Write("delete"))
        else:
            self._commit(story, draw_write(story.pen, story.job))

    def _commit(self, story: JobStory, write: Write) -> None:
        if self._apply(story, write, None):
            story.note(Commit([write]))

    def _apply(self, story: JobStory, write: Write, session: ClientSession | None) -> bool:
        """Run a write and observe it; False if the server refused it, so nothing changed."""
        try:
            job = write.apply(self._collection, story.key, session)
        except OperationFailure as error:
            if error.has_error_label("TransientTransactionError"):
                raise
            return False
        if session is None:
            self._commits += 1
        story.job = job or {}
        story.oracle.observe(job, self._commits)
        return True

    def _transaction(self, stories: list[JobStory]) -> None:
        """Several writes to some jobs, of which some transactions are aborted."""
        chosen = [self._random.choice(stories) for _ in range(self._random.randint(2, 5))]
        self.run_transaction(chosen, abort=self._random.random() < 0.15)

    def run_transaction(
        self, chosen: list[JobStory], *, abort: bool = False, writes: Iterable[Write] = ()
    ) -> None:
        """Write to each of ``chosen``, which may name a job several times."""
        given, made = iter(writes), list[tuple[JobStory, Write]]()
        before = {id(story): (story, story.oracle.copy(), story.job) for story in chosen}
        self._commits += 1
        concern = self._collection.write_concern
        with (
            self._client.start_session() as session,
            session.start_transaction(write_concern=concern),
        ):
            for story in chosen:
                write = next(given, None) or draw_write(story.pen, story.job, in_transaction=True)
                made.append((story, write))
                if not story.job or not self._apply(story, write, session):
                    abort = True
                    break
            if abort:
                session.abort_transaction()
        for story, oracle, job in before.values():
            if abort:
                story.oracle, story.job = oracle, job
            own = [write for owner, write in made if owner is story]
            story.note(Commit(own, in_transaction=True, aborted=abort))

    def _bulk(self, stories: list[JobStory]) -> None:
        """A bulk write with a write for each job, or an update of all of them."""
        drawn = [(story, draw_write(story.pen, story.job)) for story in stories]
        simple = [(s, w) for s, w in drawn if w.update is not None]
        if self._random.random() < 0.3 and simple:
            write = Write("update_many", {"$pop": {"transition_times": -1}})
            simple = [(story, write) for story, _ in simple]
            many = UpdateMany({"_id": {"$in": [story.key for story, _ in simple]}}, write.update)
            self._collection.bulk_write([many])
        else:
            self._write_bulk(simple)
        for story, write in simple:
            self._commits += 1
            story.job = self._collection.find_one({"_id": story.key}, SHOWN) or {}
            story.oracle.observe(story.job, self._commits)
            story.note(Commit([write]))

    def _write_bulk(self, simple: list[tuple[JobStory, Write]]) -> None:
        operations = [
            UpdateOne(
                {"_id": story.key, **write.query},
                write.update,
                array_filters=list(write.filters or []) or None,
            )
            for story, write in simple
        ]
        if operations:
            try:
                self._collection.bulk_write(operations, ordered=False)
            except OperationFailure:
                return  # a write that was refused changed nothing

    def repeat(self, story: JobStory, commits: Sequence[Commit]) -> JobStory:
        """Play commits again, on a new job that is otherwise the same."""
        again = self.new_story(ObjectId(), story.pen.job_id)
        for commit in commits:
            if commit.in_transaction:
                self.run_transaction(
                    [again] * len(commit.writes), abort=commit.aborted, writes=commit.writes
                )
            else:
                for write in commit.writes:
                    self._commit(again, write)
        return again
