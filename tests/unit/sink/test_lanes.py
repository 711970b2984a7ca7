"""The partition of a key is the one every client of Kafka gives it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as theirs

from bridge.sink import lanes
from bridge.sink.lanes import Lanes, murmur2


@given(st.binary(max_size=100))
def test_the_hash_is_that_of_the_other_clients(key: bytes) -> None:
    assert murmur2(key) == theirs(key) & 0xFFFFFFFF


def test_a_key_known_from_the_java_client() -> None:
    # From the tests of Kafka's own client.
    assert [murmur2(key) for key in (b"21", b"foobar")] == [-973932308 & 0xFFFFFFFF, -790332482 & 0xFFFFFFFF]


@given(st.binary(max_size=50), st.integers(1, 50))
def test_a_lane_is_the_partition_of_its_key(key: bytes, partitions: int) -> None:
    made = Lanes({"jobs": partitions, "jobs-dlq": 1}, lambda number: number)

    assert made["jobs", key] == made["jobs", key] == (theirs(key) & 0x7FFFFFFF) % partitions
    assert made["jobs-dlq", key] == 0


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing() -> None:
    made = Lanes({"jobs": 7}, lambda number: number)
    keys = [b"%d" % number for number in range(lanes._MOST_KEYS + 50)]

    first = [made["jobs", key] for key in keys]

    assert len(made) <= lanes._MOST_KEYS
    assert [made["jobs", key] for key in keys] == first
    assert sorted(made.all) == list(range(7))
