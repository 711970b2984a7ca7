"""A topic shows since when it is complete by its messages of transitions, not by other records."""

from __future__ import annotations

import json

import pytest

from bridge.kafka.retained import first_send_time
from bridge.model.message import Record, value_of
from tests.support.comparison_scenario import happened
from tests.support.factories import BASE

FIRST = happened(0, 0)
NOW = BASE + 86_400
SENT = BASE + 5.0


def record(
    value: bytes | None = None, timestamp: float = SENT, key: bytes | None = FIRST.job_id.encode()
) -> Record:
    return Record(0, 0, timestamp, key, value_of(FIRST) if value is None else value, ())


FOREIGN = [
    b"",
    b"hello",
    b"[1]",
    b'{"job_id": "job-0"}',
    json.dumps({"job_id": 7, "state": "s", "time": FIRST.time, "trans_id": "t"}).encode(),
    json.dumps({"job_id": "job-0", "state": "s", "time": "now", "trans_id": "t"}).encode(),
]


@pytest.mark.parametrize("value", FOREIGN)
@pytest.mark.parametrize("timestamp", [SENT, 0.0, -0.001, 4_102_444_800.0])
def test_records_of_other_programs_are_passed_over(value: bytes, timestamp: float) -> None:
    foreign = record(value, timestamp)

    assert first_send_time([foreign], NOW) is None
    assert first_send_time([foreign, record()], NOW) == SENT


@pytest.mark.parametrize("timestamp", [0.0, -0.001, BASE - 7200, NOW + 7200])
def test_impossible_timestamps_are_passed_over(timestamp: float) -> None:
    assert first_send_time([record(timestamp=timestamp), record()], NOW) == SENT


@pytest.mark.parametrize("timestamp", [BASE - 60, BASE + 60, NOW + 60])
def test_clocks_may_differ(timestamp: float) -> None:
    assert first_send_time([record(timestamp=timestamp)], NOW) == timestamp


def test_a_message_without_key_counts() -> None:
    """The job service's own sender writes no key."""
    assert first_send_time([record(key=None)], NOW) == SENT


@pytest.mark.parametrize("key", [b"other", b"\xff"])
def test_a_message_with_another_key_is_passed_over(key: bytes) -> None:
    assert first_send_time([record(key=key)], NOW) is None


def test_nothing_is_known_without_records() -> None:
    assert first_send_time([], NOW) is None
