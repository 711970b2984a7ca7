"""Random histories, changed by every operator of MongoDB that can change an array.

Every entry that stood in a document is sent once with its own state and time, or dead-lettered;
nothing is sent that never stood.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.support.array_writes import ARCHIVE, CURRENT
from tests.support.history_story import Chronicle
from tests.support.history_verdict import assert_right, read_to_now
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest

#: Jobs of a seed, and their commits, about.
JOBS, COMMITS = 50, 8
#: The history's fields by profile.
PROFILES = {"cts": (ARCHIVE, CURRENT), "custom": (CURRENT,)}
CUSTOM = {
    "jobs__profile": "custom",
    "jobs__id_field": "id",
    "jobs__state_field": "state",
    "jobs__transitions_field": CURRENT,
}


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def arrays(profile: str) -> tuple[str, ...]:
    return PROFILES[profile]


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str, profile: str) -> Iterator[SourceUnderTest]:
    options = CUSTOM if profile == "custom" else {}
    with SourceUnderTest(mongo.uri, database, **options) as jobs:
        yield jobs


@pytest.mark.parametrize("seed", range(8))
def test_entries_are_sent_once_while_written(
    jobs: SourceUnderTest, arrays: tuple[str, ...], seed: int
) -> None:
    """The stream is read between the writes."""
    with jobs.reading() as reader:
        chronicle = Chronicle(jobs, Random(seed), arrays, between=reader.step)
        chronicle.play(JOBS, COMMITS)
        items = read_to_now(jobs, reader)

    assert_right(jobs, arrays, chronicle.stories, items)


@pytest.mark.parametrize("seed", range(100, 108))
def test_entries_are_sent_once_when_read_late(
    jobs: SourceUnderTest, arrays: tuple[str, ...], seed: int
) -> None:
    """The stream is read after all writes, with a cache that saw the inserts."""
    with jobs.reading() as reader:
        chronicle = Chronicle(jobs, Random(seed), arrays)
        chronicle.play(JOBS, COMMITS)
        items = read_to_now(jobs, reader)

    assert_right(jobs, arrays, chronicle.stories, items)


@pytest.mark.parametrize("seed", range(200, 208))
def test_entries_are_sent_over_a_restart(
    jobs: SourceUnderTest, arrays: tuple[str, ...], seed: int
) -> None:
    """A second stream with an empty cache continues at the position of the first."""
    random = Random(seed)
    chronicle = Chronicle(jobs, random, arrays)
    with jobs.reading() as reader:
        chronicle.play(JOBS // 2, COMMITS)
        for _ in range(random.randrange(1, 8)):
            reader.step()
        chronicle.play(JOBS, COMMITS // 2)
        before = list(reader.items)
        reached = reader.position
    jobs.source = jobs.another_source()
    with jobs.reading(reached) as reader:
        items = before + read_to_now(jobs, reader)

    assert_right(jobs, arrays, chronicle.stories, items, repeats=1)
