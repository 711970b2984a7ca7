"""The oracle of exactly-once finds each anomaly that is planted into a faultless run."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.support.live_reader import Reading
from tests.support.servers.records import TopicRecord
from tests.support.visible_verdict import VisibleVerdict, judge_visible
from tests.support.witness import CommittedTransition

JOBS, STATES, PARTITIONS = 12, 5, 3


class Story:
    """A faultless run: every commit is visible once, in order, and was seen live."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        todo = [f"job-{job}" for job in range(JOBS) for _ in range(STATES)]
        self.random.shuffle(todo)
        self.committed = [
            CommittedTransition(job, f"transition-{number}", f"state-{number}", f"{number:08d}")
            for number, job in enumerate(todo)
        ]
        self.final: list[TopicRecord] = []
        offsets = dict.fromkeys(range(PARTITIONS), 0)
        for commit in self.committed:
            partition = sum(commit.job_id.encode()) % PARTITIONS
            # Markers of transactions, and aborted messages, leave holes.
            offsets[partition] += self.random.choice((1, 1, 1, 2, 5))
            self.final.append(record_of(commit, partition, offsets[partition]))
        self.readings = [*map(reading_of, self.final)]

    def judge(self) -> VisibleVerdict:
        final = sorted(self.final, key=lambda record: (record.partition, record.offset))
        return judge_visible(self.committed, final, self.readings)

    def any_index(self) -> int:
        """The index of a record with later records in its partition."""
        ends: dict[int, int] = {}
        for record in self.final:
            ends[record.partition] = max(record.offset, ends.get(record.partition, 0))
        return self.random.choice(
            [n for n, record in enumerate(self.final) if record.offset < ends[record.partition]]
        )


def record_of(commit: CommittedTransition, partition: int, offset: int) -> TopicRecord:
    return TopicRecord(
        partition,
        offset,
        commit.job_id.encode(),
        f"value of {commit.trans_id}".encode(),
        (("ce_id", commit.trans_id.encode()),),
        offset,
    )


def reading_of(record: TopicRecord) -> Reading:
    trans_id = (dict(record.headers)["ce_id"] or b"").decode()
    return Reading(
        record.partition, record.offset, record.key or b"", record.value or b"", trans_id, 0.0
    )


@pytest.fixture(params=range(5))
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.param)


def test_a_faultless_run_has_no_anomaly(story: Story) -> None:
    assert story.judge().anomalies == {}
    story.judge().check()


def test_a_lost_message_is_found(story: Story) -> None:
    record = story.final.pop(story.any_index())
    story.readings.remove(reading_of(record))

    assert list(story.judge().anomalies) == ["lost"]
    with pytest.raises(AssertionError, match="1 lost: "):
        story.judge().check()


def test_a_repeated_message_is_found(story: Story) -> None:
    repeated = replace(story.final[story.any_index()], offset=10**6)
    story.final.append(repeated)
    story.readings.append(reading_of(repeated))

    anomalies = story.judge().anomalies

    # The second message comes after later states of its job, unless it is of the last one.
    assert set(anomalies) - {"reordered"} == {"repeated"}
    assert len(anomalies["repeated"]) == 1


def test_reordered_messages_are_found(story: Story) -> None:
    job = story.final[story.any_index()].key
    first, second = [n for n, record in enumerate(story.final) if record.key == job][:2]
    early, late = story.final[first], story.final[second]
    story.final[first] = replace(late, offset=early.offset)
    story.final[second] = replace(early, offset=late.offset)
    story.readings = [*map(reading_of, story.final)]

    assert list(story.judge().anomalies) == ["reordered"]


def test_a_job_in_two_partitions_is_found(story: Story) -> None:
    job = story.final[story.any_index()].key
    last = max(n for n, record in enumerate(story.final) if record.key == job)
    moved = replace(
        story.final[last], partition=(story.final[last].partition + 1) % PARTITIONS, offset=10**6
    )
    story.final[last] = moved
    story.readings = [*map(reading_of, story.final)]

    assert "reordered" in story.judge().anomalies


def test_a_visible_aborted_message_is_found(story: Story) -> None:
    """It was seen live, and its place is not committed in the end."""
    index = story.any_index()
    aborted = replace(story.readings[index], offset=10**6)
    story.readings.append(aborted)

    assert list(story.judge().anomalies) == ["aborted"]


def test_an_aborted_copy_in_between_is_found(story: Story) -> None:
    """The committed copy was seen as well."""
    number = story.final[0].partition
    for n, record in enumerate(story.final):
        if record.partition == number:
            story.final[n] = replace(record, offset=record.offset + 1)
    story.readings = [*map(reading_of, story.final)]
    aborted = replace(story.readings[0], offset=story.readings[0].offset - 1)
    story.readings.insert(0, aborted)

    assert list(story.judge().anomalies) == ["aborted"]


def test_a_message_that_changed_is_found(story: Story) -> None:
    index = story.any_index()
    story.readings[index] = replace(story.readings[index], value=b"another value")

    assert list(story.judge().anomalies) == ["inconsistent"]


def test_a_message_seen_twice_is_found(story: Story) -> None:
    story.readings.append(story.readings[story.any_index()])

    assert list(story.judge().anomalies) == ["backward"]


def test_a_skipped_message_is_found(story: Story) -> None:
    story.readings.pop(story.any_index())

    assert list(story.judge().anomalies) == ["skipped"]


def test_a_message_that_stays_hidden_is_found(story: Story) -> None:
    partition = story.final[0].partition
    last = max(n for n, record in enumerate(story.final) if record.partition == partition)
    story.readings.pop(last)

    assert list(story.judge().anomalies) == ["unseen"]


def test_a_message_without_a_commit_is_found(story: Story) -> None:
    story.committed.pop(story.any_index())

    assert list(story.judge().anomalies) == ["strange"]
