"""The simulated job service: moves jobs from state to state and reports its commits."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from random import Random
from typing import Any

from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import WriteConcern
from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern

from bridge.demo.job_service.indexes import indexes
from bridge.demo.job_service.workload import (
    Commit,
    Document,
    Indeterminate,
    Journey,
    Step,
    Workload,
    afterthoughts,
    change,
    guard,
    input_files,
    journey,
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
READ_CONCERN_NOT_AVAILABLE_YET = 134
#: "Not writable primary" and "node is recovering" of the driver specification "server discovery and
#: monitoring". A primary that steps down during a write may report them without a label.
NOT_PRIMARY = (10107, 10058, 13435, 11600, 11602, 13436, 189, 91)


async def play(
    uri: str,
    database: str,
    workload: Workload,
    *,
    collection: str = "jobs",
    stop: asyncio.Event,
    on_commit: Report,
) -> None:
    """Run the workload's jobs to their end, or until soon after ``stop`` is set.

    Step-downs and outages are waited out.

    Args:
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
            collection, options, write_concern=majority, read_concern=ReadConcern("majority")
        )
        await _Service(jobs, workload, stop, report=on_commit).run()
    finally:
        client.close()


async def ensure_indexes(jobs: Jobs) -> None:
    """Create the service's indexes where they are missing."""
    await jobs.create_indexes(indexes())


class _Service:
    """Several workers, each with a job at a time."""

    def __init__(
        self, jobs: Jobs, workload: Workload, stop: asyncio.Event, *, report: Report
    ) -> None:
        self._jobs = jobs
        self._workload = workload
        self._stop = stop
        self._report = report
        self._pace = _Pace(workload.rate, stop)
        self._numbers = iter(itertools.count() if workload.jobs is None else range(workload.jobs))
        self._files = input_files(workload.size)

    async def run(self) -> None:
        await self._insist(lambda: ensure_indexes(self._jobs))
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
            commit = await self._advance(commit, step)
        if commit is not None and self._workload.noise:
            for update in afterthoughts(plan.cluster, datetime.now(UTC)):
                await self._note({"id": commit.job_id}, update)

    async def _create(self, cluster: str) -> Commit | None:
        document = new_job(cluster, _now(), self._files)
        first = document["transition_times"][0]

        async def insert() -> bool:
            await self._jobs.insert_one(document)
            return True

        commit = Commit(document["id"], 0, first["state"], first["time"], first["trans_id"])
        return await self._commit(commit, insert)

    async def _advance(self, last: Commit, step: Step) -> Commit | None:
        time = max(_now(), last.time)
        commit = Commit(last.job_id, last.sequence + 1, step.state, time, new_id())
        query = guard(last.job_id, last.state, time)
        update = change(step, time, commit.trans_id)

        async def write() -> bool:
            return (await self._jobs.update_one(query, update)).matched_count == 1

        return await self._commit(commit, write)

    async def _commit(self, commit: Commit, write: Callable[[], Awaitable[bool]]) -> Commit | None:
        """Write until a majority holds it; None if stopped before that is known.

        The query's guard and the unique id let a repeated write take effect only once.
        """
        doubted, refusals = False, 0
        for wait in _waits():
            try:
                if (doubted and await self._held(commit)) or await write():
                    return await self._committed(commit)
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

    async def _committed(self, commit: Commit) -> Commit:
        self._report(commit)
        if self._workload.noise:
            await self._note(*sent(commit.job_id, commit.trans_id))
        return commit

    def _doubt(self, commit: Commit, error: PyMongoError, *, again: bool) -> None:
        """Report an unanswered write once; raises ``error`` if waiting cannot cure it."""
        if not passing(error):
            raise error
        if not again:
            self._report(Indeterminate(**asdict(commit), reason=type(error).__name__))

    async def _held(self, commit: Commit) -> bool:
        job = await self._jobs.find_one(
            {"id": commit.job_id, "transition_times.trans_id": commit.trans_id}, {"_id": 1}
        )
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
        return await _set_within(self._stop, seconds)


class _Pace:
    """Limits the rate; time lost in an outage is not made up."""

    def __init__(self, rate: float | None, stop: asyncio.Event) -> None:
        self._interval = 0.0 if rate is None else 1 / rate
        self._stop = stop
        self._next = 0.0

    async def turn(self) -> bool:
        """Wait for the next turn; false once stopped."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._interval
        return not (
            await _set_within(self._stop, turn - now) if turn > now else self._stop.is_set()
        )


def _client_options() -> dict[str, Any]:
    return {
        "tz_aware": True,
        "retryWrites": True,
        "serverSelectionTimeoutMS": 2000,
        "connectTimeoutMS": 2000,
        "socketTimeoutMS": SOCKET_SECONDS * 1000,
    }


def passing(error: PyMongoError) -> bool:
    """Whether waiting may cure the error: no answer, no primary, no majority."""
    if isinstance(error, ConnectionFailure | WriteConcernError | ExecutionTimeout):
        return True
    if isinstance(error, OperationFailure) and error.code in (
        READ_CONCERN_NOT_AVAILABLE_YET,
        *NOT_PRIMARY,
    ):
        return True
    return error.has_error_label("RetryableWriteError")


def _waits() -> Iterator[float]:
    wait = FIRST_WAIT_SECONDS
    while True:
        yield wait
        wait = min(2 * wait, MAX_WAIT_SECONDS)


async def _set_within(stop: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


def _now() -> datetime:
    return to_millis(datetime.now(UTC))
