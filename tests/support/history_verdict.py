"""Reads the messages of many played jobs, judges them, and reports the shortest wrong job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from bson import Binary

from bridge.model.position import Position
from bridge.model.transition import Poison, Transition
from tests.support.array_writes import CURRENT
from tests.support.history_story import Chronicle, Commit, JobStory
from tests.support.source_under_test import SourceUnderTest, StreamReader

Items = list[Transition | Poison]

#: The time for finding a shorter sequence of writes that is still wrong.
SHRINK_SECONDS = 5.0


def read_to_now(jobs: SourceUnderTest, reader: StreamReader) -> Items:
    """Return all items of the stream up to now; writes a job to know where that is."""
    end = jobs.end_position()
    jobs.collection.insert_one({"id": "the last job", CURRENT: []})
    reader.read_past(end)
    return reader.items


def read_from(jobs: SourceUnderTest, position: Position) -> Items:
    """Return all items from a position up to now, also past the end of the collection."""
    with jobs.reading(position) as reader:
        return read_to_now(jobs, reader)


def by_story(stories: Sequence[JobStory], items: Items) -> tuple[dict[int, Items], list[str]]:
    """Return the items of each story by its number, and complaints about the others."""
    numbers = {story.pen.job_id: number for number, story in enumerate(stories)}
    own: dict[int, Items] = {number: [] for number in numbers.values()}
    complaints = []
    for item in items:
        number = numbers.get(item.job_id)
        if number is None and isinstance(item, Poison) and not item.job_id:
            number = _by_document(stories, item)
        if number is None:
            complaints.append(f"a job that never was: {item}")
        else:
            own[number].append(item)
    return own, complaints


def _by_document(stories: Sequence[JobStory], letter: Poison) -> int | None:
    """The story whose ``_id`` is in the reason; first those that were deleted."""
    for number in sorted(range(len(stories)), key=lambda number: stories[number].alive):
        key = stories[number].key
        texts = [str(key)] + ([str(key.as_uuid())] if isinstance(key, Binary) else [])
        if any(text[:90] in letter.reason for text in texts):
            return number
    return None


def complaints_by_story(
    stories: Sequence[JobStory], items: Items, repeats: int = 0
) -> tuple[dict[int, list[str]], list[str]]:
    """Return the complaints about each story that has any, and those about no story."""
    own, others = by_story(stories, items)
    judged = {n: stories[n].oracle.judge(own[n], repeats) for n in own}
    return {n: complaints for n, complaints in judged.items() if complaints}, others


def wrong_when_repeated(
    jobs: SourceUnderTest, arrays: Sequence[str], story: JobStory, commits: list[Commit]
) -> tuple[JobStory, list[str]]:
    """Play the commits on a new job; returns its story and the complaints about it."""
    jobs.collection.delete_many({"id": story.pen.job_id})
    chronicle = Chronicle(jobs, Random(0), arrays)
    with jobs.reading() as reader:
        again = chronicle.repeat(story, commits)
        items = read_to_now(jobs, reader)
    complaints, others = complaints_by_story([again], items)
    return again, [*complaints.get(0, []), *others]


def shortest(
    jobs: SourceUnderTest, arrays: Sequence[str], story: JobStory, complaints: list[str]
) -> tuple[JobStory, list[str]]:
    """Leave out commits while the story stays wrong; the story itself if it is not wrong alone."""
    deadline = time.monotonic() + SHRINK_SECONDS
    commits = [commit for commit, _ in story.commits]
    again, wrong = wrong_when_repeated(jobs, arrays, story, commits)
    if not wrong:
        return story, complaints
    story, complaints = again, wrong
    number = len(commits) - 1
    while number > 0 and time.monotonic() < deadline:
        fewer = commits[:number] + commits[number + 1 :]
        again, wrong = wrong_when_repeated(jobs, arrays, story, fewer)
        if wrong:
            story, complaints, commits = again, wrong, fewer
        number -= 1
    return story, complaints


def assert_right(
    jobs: SourceUnderTest,
    arrays: Sequence[str],
    stories: Sequence[JobStory],
    items: Items,
    repeats: int = 0,
) -> None:
    """Fail with the shortest sequence of writes whose messages are wrong."""
    complaints, others = complaints_by_story(stories, items, repeats)
    assert not others, "\n".join(others)
    if not complaints:
        return
    number = min(complaints, key=lambda number: len(stories[number].commits))
    story, wrong = shortest(jobs, arrays, stories[number], complaints[number])
    lines = [
        f"{len(complaints)} of {len(stories)} jobs are wrong; the shortest:",
        *wrong,
        str(story),
    ]
    raise AssertionError("\n".join(lines))
