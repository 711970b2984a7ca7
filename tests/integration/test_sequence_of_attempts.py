"""``ce_sequence`` on a real MongoDB: jobs of several attempts, read from every origin."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from bridge.model.transition import Transition
from bridge.mongo.decoder import OPTIONS
from bridge.mongo.job_documents import JobDocuments
from tests.support.history_verdict import Items, read_to_now
from tests.support.servers.mongo import MongoDeployment
from tests.support.service_history import APPEND, ServiceHistory, latest_state, sequences
from tests.support.source_under_test import SourceUnderTest

JOBS, WRITES = 12, 120


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def replayed(jobs: SourceUnderTest) -> Items:
    """The histories in the documents, as a recovery and a replay read them."""
    documents = JobDocuments(jobs.profile)
    jobs_found = jobs.collection.with_options(OPTIONS).find({"id": {"$regex": "^job-"}})
    return [item for document in jobs_found for item in documents.history(document).items]


def write_once(jobs: SourceUnderTest, histories: list[ServiceHistory], random: Random) -> None:
    """Insert a job, or make the service's next write to one of the jobs."""
    if (len(histories) < JOBS and random.random() < 0.2) or not histories:
        job = ServiceHistory(f"job-{len(histories)}", identified=random.random() < 0.7)
        job.write(APPEND, 0)
        jobs.collection.insert_one(job.document)
        histories.append(job)
        return
    job = random.choice(histories)
    updated = jobs.collection.update_one({"id": job.job_id}, job.write_random(random))
    assert updated.modified_count == 1


@pytest.mark.parametrize("seed", range(6))
def test_every_origin_gives_the_same_numbers(jobs: SourceUnderTest, seed: int) -> None:
    """A stream from the start, streams from random positions with empty caches, and replays."""
    random, histories, messages = Random(seed), list[ServiceHistory](), list[Items]()
    start = jobs.end_position()
    with jobs.reading(start) as reader:
        for number in range(WRITES):
            write_once(jobs, histories, random)
            if number % 20 == 0:
                messages.append(replayed(jobs))
        messages.append(read_to_now(jobs, reader))
    streamed = len(messages[-1])
    for event in random.sample(reader.events, 4):
        jobs.source = jobs.another_source()
        with jobs.reading(event.position) as again:
            messages.append(read_to_now(jobs, again))
    messages.append(replayed(jobs))
    random.shuffle(messages)
    everything = [item for items in messages for item in items]

    assert streamed == sum(job.count for job in histories)
    numbers = sequences(everything)
    assert len(numbers) == streamed
    assert [n for n in numbers.values() if len(n) > 1] == []
    for job in histories:
        own = [item for item in everything if item.job_id == job.job_id]
        assert latest_state(own) == job.state
        in_order = sorted({(item.sequence or 0, item.trans_id) for item in own})
        document = [item for item in replayed(jobs) if item.job_id == job.job_id]
        assert [trans_id for _, trans_id in in_order] == [item.trans_id for item in document]
    assert all(isinstance(item, Transition) for item in everything)
