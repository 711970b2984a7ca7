"""A long history of transitions, written as fast as the server accepts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, pairwise

from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection

from bridge.demo.job_service.indexes import unique_id
from bridge.demo.job_service.pipeline_writes import update_of
from bridge.demo.job_service.workload import (
    CLUSTERS,
    HAPPY,
    Action,
    Commit,
    Document,
    Step,
    change,
    guard,
    input_files,
    new_id,
    new_job,
    sent,
    to_millis,
)

CHUNK = 1000
CHUNK_BYTES = 16_000_000

Jobs = Collection[Document]


def load(
    uri: str,
    database: str,
    jobs: int,
    transitions: int = 7,
    size: int = 2000,
    collection: str = "jobs",
    *,
    noise: bool = False,
    recovered: bool = False,
) -> int:
    """Write ``jobs`` new jobs and bring each through ``transitions`` states, all jobs side by side.

    Returns the number of transitions. ``noise`` notes each of them as sent as well. ``recovered``
    archives the first half of each history, as the newest service does when it recovers a job.
    Only the index on the job id is made: the others would be most of the work.
    """
    with MongoClient[Document](uri, tz_aware=True) as client:
        target = client[database][collection]
        target.create_indexes([unique_id()])
        start = to_millis(datetime.now(UTC))
        steps = _steps(transitions, recovered=recovered)
        for chunk in _chunks(jobs, max(1, min(CHUNK, CHUNK_BYTES // size))):
            _write(target, chunk, steps, size, start, noise=noise)
    return jobs * transitions


def _write(
    target: Jobs, count: int, steps: Sequence[Step], size: int, start: datetime, *, noise: bool
) -> None:
    clusters = islice(cycle(CLUSTERS), count)
    documents = [new_job(cluster, start, input_files(size)) for cluster in clusters]
    target.insert_many(documents)
    ids = [document["id"] for document in documents]
    if noise:
        target.bulk_write(
            [UpdateOne(*sent(document["id"], _first_id(document))) for document in documents]
        )
    for sequence, (before, after) in enumerate(pairwise(steps), start=1):
        time = start + timedelta(milliseconds=sequence)
        target.bulk_write(list(_updates(ids, before, after, time, noise=noise)))


def _updates(
    ids: Sequence[str], before: Step, after: Step, time: datetime, *, noise: bool
) -> Iterator[UpdateOne]:
    for job_id in ids:
        trans_id = new_id()
        if after.action is Action.RECOVER:
            last = Commit(job_id, 0, before.state, time, "")
            yield UpdateOne(*update_of(after, last, Commit(job_id, 1, after.state, time, trans_id)))
        else:
            yield UpdateOne(guard(job_id, before.state, time), change(after, time, trans_id))
        if noise:
            yield UpdateOne(*sent(job_id, trans_id))


def _steps(count: int, *, recovered: bool) -> list[Step]:
    """The usual states in their order; past the last one, around again without ``created``."""
    states = [HAPPY[0], *(HAPPY[1 + number % (len(HAPPY) - 1)] for number in range(count - 1))]
    steps = [Step(state) for state in states]
    if recovered:
        steps[count // 2] = Step("download_submitted", action=Action.RECOVER)
    return steps


def _first_id(document: Document) -> str:
    return str(document["transition_times"][0]["trans_id"])


def _chunks(total: int, max_size: int) -> Iterator[int]:
    while total > 0:
        yield min(total, max_size)
        total -= max_size
