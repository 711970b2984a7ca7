"""The simulated job service: moves jobs from state to state and reports its commits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from random import Random
from typing import Any

from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from bridge.demo.job_service import pipeline_writes
from bridge.demo.job_service.indexes import indexes
from bridge.demo.job_service.journeys import journey
from bridge.demo.job_service.pace import Pace, set_within
from bridge.demo.job_service.passing_errors import passing
from bridge.demo.job_service.pipeline_writes import ConditionalUpdate
from bridge.demo.job_service.workload import (
    HISTORY,
    Action,
    Commit,
    Document,
    Indeterminate,
    Journey,
    Kind,
    Obstacle,
    Step,
    Workload,
    afterthoughts,
    change,
    guard,
    input_files,
    new_id,
    new_job,
    sent,
    to_millis,
)

Report = Callable[[Commit | Indeterminate], None]
Jobs = AsyncIOMotorCollection[Document]

WRITE_SECONDS = 10  # a majority that does not answer by then makes the write indeterminate
SOCKET_SECONDS = 15
FIRST_WAIT_SECONDS = 0.05
MAX_WAIT_SECONDS = 1.0
MAX_REFUSALS = 100  # after as many, a write that is refused and not found is lost


async def play(
    uri: str,
    database: str,
    workload: Workload,
    *,
    collection: str | None = None,
    stop: asyncio.Event,
    on_commit: Report,
) -> None:
    """Run the workload's jobs to their end, or until soon after ``stop`` is set.

    Step-downs and outages are waited out.

    Args:
        collection: By default the workload's kind.
        on_commit: Called for every transition that a majority holds, in order for each job, and
            for every transition whose write was not answered.

    Raises:
        PyMongoError: An error that waiting cannot cure.
    """
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(uri, **_client_options())
    try:
        options: CodecOptions[Document] = CodecOptions(tz_aware=True)
        majority = WriteConcern("majority", wtimeout=WRITE_SECONDS * 1000)
        jobs = client[database].get_collection(
            collection or workload.kind,
            options,
            write_concern=majority,
            read_concern=ReadConcern("majority"),
        )
        await _Service(jobs, workload, stop, report=on_commit).run()
    finally:
        client.close()


async def ensure_indexes(jobs: Jobs, kind: Kind = "jobs") -> None:
    """Create the service's indexes where they are missing."""
    await jobs.create_indexes(indexes(kind))


class _Service:
    """Several workers, each with a job at a time."""

    def __init__(
        self, jobs: Jobs, workload: Workload, stop: asyncio.Event, *, report: Report
    ) -> None:
        self._jobs = jobs
        self._workload = workload
        self._stop = stop
        self._report = report
        self._pace = Pace(workload.rate, stop)
        self._numbers = iter(itertools.count() if workload.jobs is None else range(workload.jobs))
        self._files = input_files(workload.size)

    async def run(self) -> None:
        await self._insist(lambda: ensure_indexes(self._jobs, self._workload.kind))
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._workload.concurrency):
                workers.create_task(self._work())

    async def _work(self) -> None:
        for number in self._numbers:
            seed = self._workload.seed
            random = Random(None if seed is None else f"{seed}-{number}")
            await self._live(journey(random, self._workload))
            if self._stop.is_set():
                return

    async def _live(self, plan: Journey) -> None:
        """Run a job from its insertion to its end, or to the stop."""
        if not await self._pace.turn():
            return
        commit = await self._create(plan.cluster)
        for step in plan.steps[1:]:
            if commit is None or not await self._pace.turn():
                return
            if step.refused is not None:
                await self._try_in_vain(step.refused, step, commit)
            commit = await self._advance(commit, step, pipelines=plan.pipelines)
        if commit is not None:
            await self._end(commit, plan)

    async def _end(self, last: Commit, plan: Journey) -> None:
        """Write to a job that has ended, without a transition."""
        if plan.pipelines:
            await self._try_in_vain(Obstacle.ENDED, plan.steps[-1], last)
        if self._workload.noise:
            now = datetime.now(UTC)
            for update in afterthoughts(plan.cluster, now, pipelines=plan.pipelines):
                await self._note({"id": last.job_id}, update)

    async def _create(self, cluster: str) -> Commit | None:
        document = new_job(cluster, _now(), self._files, self._workload.kind)
        first = document["transition_times"][0]

        async def insert() -> bool:
            await self._jobs.insert_one(document)
            return True

        commit = Commit(document["id"], 0, first["state"], first["time"], first["trans_id"])
        return await self._commit(commit, insert)

    async def _advance(self, last: Commit, step: Step, *, pipelines: bool) -> Commit | None:
        time = pipeline_writes.time_of(step, last, _now())
        commit = Commit(last.job_id, last.sequence + 1, step.state, time, new_id())

        async def push() -> bool:
            query = guard(last.job_id, last.state, time)
            updated = await self._jobs.update_one(query, change(step, time, commit.trans_id))
            return updated.matched_count == 1

        async def update() -> bool:
            answer = await self._answer(pipeline_writes.update_of(step, last, commit))
            return pipeline_writes.newest_trans_id(answer) == commit.trans_id

        # The service sends nothing for the first transition of a recovered job.
        sends = step.action is not Action.RECOVER
        return await self._commit(commit, update if pipelines else push, sends=sends)

    async def _try_in_vain(self, obstacle: Obstacle, step: Step, last: Commit) -> None:
        """Try an update whose condition is false; the answer contains an unchanged job."""
        refused = pipeline_writes.refused_update(obstacle, step, last)

        async def write() -> None:
            answer = await self._answer(refused)
            if pipeline_writes.newest_trans_id(answer) != last.trans_id:
                raise RuntimeError(f"an update of job {last.job_id} was not refused: {obstacle}")

        await self._insist(write)

    async def _answer(self, update: ConditionalUpdate) -> Document | None:
        """Update a job; returns it as it is afterwards, with its newest transition only."""
        return await self._jobs.find_one_and_update(
            update.query,
            update.pipeline,
            projection=pipeline_writes.ANSWER,
            return_document=ReturnDocument.AFTER,
        )

    async def _commit(
        self, commit: Commit, write: Callable[[], Awaitable[bool]], *, sends: bool = True
    ) -> Commit | None:
        """Write until a majority holds it; None if stopped before that is known.

        The guard or condition and the unique id let a repeated write take effect only once.
        """
        doubted, refusals = False, 0
        for wait in _waits():
            try:
                if (doubted and await self._held(commit)) or await write():
                    return await self._committed(commit, sends=sends)
                refusals += 1
            except DuplicateKeyError:
                refusals += 1
            except PyMongoError as error:
                self._doubt(commit, error, again=doubted)
                doubted = True
            if refusals and (not doubted or refusals > MAX_REFUSALS):
                raise RuntimeError(f"another writer changed job {commit.job_id}")
            if await self._stopped_within(wait):
                break
        return None

    async def _committed(self, commit: Commit, *, sends: bool) -> Commit:
        self._report(commit)
        if self._workload.noise and sends:
            await self._note(*sent(commit.job_id, commit.trans_id))
        return commit

    def _doubt(self, commit: Commit, error: PyMongoError, *, again: bool) -> None:
        """Report an unanswered write once; raises ``error`` if waiting cannot cure it."""
        if not passing(error):
            raise error
        if not again:
            self._report(Indeterminate(**asdict(commit), reason=type(error).__name__))

    async def _held(self, commit: Commit) -> bool:
        """Whether the job's history contains the transition, archived or not."""
        places = [{f"{array}.trans_id": commit.trans_id} for array in HISTORY]
        job = await self._jobs.find_one({"id": commit.job_id, "$or": places}, {"_id": 1})
        return job is not None

    async def _note(self, query: Document, update: Document) -> None:
        async def write() -> None:
            await self._jobs.update_one(query, update)

        await self._insist(write)

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeat an idempotent write until it is answered or the service is stopped."""
        for wait in _waits():
            try:
                await write()
                return
            except PyMongoError as error:
                if not passing(error):
                    raise
            if await self._stopped_within(wait):
                return

    async def _stopped_within(self, seconds: float) -> bool:
        return await set_within(self._stop, seconds)


def _client_options() -> dict[str, Any]:
    return {
        "tz_aware": True,
        "retryWrites": True,
        "serverSelectionTimeoutMS": 2000,
        "connectTimeoutMS": 2000,
        "socketTimeoutMS": SOCKET_SECONDS * 1000,
    }


def _waits() -> Iterator[float]:
    wait = FIRST_WAIT_SECONDS
    while True:
        yield wait
        wait = min(2 * wait, MAX_WAIT_SECONDS)


def _now() -> datetime:
    return to_millis(datetime.now(UTC))
