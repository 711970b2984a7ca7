"""The partition of a key is the same as with other Kafka clients."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as reference

from bridge.kafka import partitioner
from bridge.kafka.murmur2 import murmur2
from bridge.kafka.partitioner import Partitioner

#: Two lengths, so that most keys are hashed together.
equal_lengths = st.lists(
    st.one_of(st.binary(min_size=24, max_size=24), st.binary(min_size=7, max_size=7))
)


def number_of(_: str, number: int) -> int:
    return number


@given(st.one_of(equal_lengths, st.lists(st.binary(max_size=100))))
def test_hashes_equal_those_of_kafka_python(keys: list[bytes]) -> None:
    assert murmur2(keys) == [reference(key) & 0xFFFFFFFF for key in keys]


def test_keys_of_each_length_are_hashed_independently() -> None:
    keys = [byte * length for length in range(1, 41) for byte in (b"\xff", b"\0", b"\x80", b"\xff")]

    assert murmur2(keys) == [reference(key) & 0xFFFFFFFF for key in keys]


def test_hashes_equal_those_of_the_java_client() -> None:
    # From the tests of Kafka's Java client.
    assert murmur2([b"21", b"foobar"]) == [-973932308 & 0xFFFFFFFF, -790332482 & 0xFFFFFFFF]


@given(st.lists(st.binary(max_size=50), min_size=1), st.integers(1, 50))
def test_the_key_decides_the_partition(keys: list[bytes], partitions: int) -> None:
    kafka_partitioner = Partitioner({"jobs": partitions, "jobs-dlq": 1}, number_of)
    expected = [(reference(key) & 0x7FFFFFFF) % partitions for key in keys]

    assert kafka_partitioner.assign([("jobs", key) for key in keys[:1]]) == expected[:1]
    assert (
        kafka_partitioner.assign([("jobs", key) for key in keys]) == expected
    )  # the first comes from the cache
    assert kafka_partitioner.assign([("jobs", key) for key in keys]) == expected
    assert kafka_partitioner.assign([("jobs-dlq", key) for key in keys]) == [0] * len(keys)


def test_each_topic_has_its_own_partitions() -> None:
    kafka_partitioner = Partitioner(
        {"jobs": 3, "jobs-dlq": 1}, lambda topic, number: (topic, number)
    )

    assert kafka_partitioner.assign([("jobs", b"21"), ("jobs-dlq", b"21"), ("jobs", b"21")]) == [
        ("jobs", 0),
        ("jobs-dlq", 0),
        ("jobs", 0),
    ]
    assert kafka_partitioner.partitions == [("jobs", 0), ("jobs", 1), ("jobs", 2), ("jobs-dlq", 0)]


def test_a_bounded_cache_does_not_change_partitions() -> None:
    kafka_partitioner = Partitioner({"jobs": 7}, number_of)
    targets = [("jobs", b"%d" % number) for number in range(partitioner._MAX_KEYS + 50)]
    expected = [(reference(key) & 0x7FFFFFFF) % 7 for _, key in targets]

    assert kafka_partitioner.assign(targets[:100]) == expected[:100]
    assert (
        kafka_partitioner.assign(targets[50:-50]) == expected[50:-50]
    )  # some from the cache, some evicted
    assert kafka_partitioner.assign(targets[-100:]) == expected[-100:]

    assert 0 < len(kafka_partitioner._known) <= partitioner._MAX_KEYS
