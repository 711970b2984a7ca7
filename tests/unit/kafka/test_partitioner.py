"""The partition of a key is the one every client of Kafka gives it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as theirs

from bridge.kafka import partitioner
from bridge.kafka.murmur2 import murmur2
from bridge.kafka.partitioner import Partitioner

#: Two lengths, so that most of them are hashed together.
together = st.lists(
    st.one_of(st.binary(min_size=24, max_size=24), st.binary(min_size=7, max_size=7))
)


def number_of(_: str, number: int) -> int:
    return number


@given(st.one_of(together, st.lists(st.binary(max_size=100))))
def test_the_hashes_are_those_of_the_other_clients(keys: list[bytes]) -> None:
    assert murmur2(keys) == [theirs(key) & 0xFFFFFFFF for key in keys]


def test_each_length_and_no_key_reaches_into_its_neighbour() -> None:
    keys = [byte * length for length in range(1, 41) for byte in (b"\xff", b"\0", b"\x80", b"\xff")]

    assert murmur2(keys) == [theirs(key) & 0xFFFFFFFF for key in keys]


def test_a_key_known_from_the_java_client() -> None:
    # From the tests of Kafka's own client.
    assert murmur2([b"21", b"foobar"]) == [-973932308 & 0xFFFFFFFF, -790332482 & 0xFFFFFFFF]


@given(st.lists(st.binary(max_size=50), min_size=1), st.integers(1, 50))
def test_a_lane_is_the_partition_of_its_key(keys: list[bytes], partitions: int) -> None:
    made = Partitioner({"jobs": partitions, "jobs-dlq": 1}, number_of)
    wanted = [(theirs(key) & 0x7FFFFFFF) % partitions for key in keys]

    assert made.of([("jobs", key) for key in keys[:1]]) == wanted[:1]
    assert made.of([("jobs", key) for key in keys]) == wanted  # the first is remembered
    assert made.of([("jobs", key) for key in keys]) == wanted
    assert made.of([("jobs-dlq", key) for key in keys]) == [0] * len(keys)


def test_messages_of_two_topics_are_told_apart() -> None:
    made = Partitioner({"jobs": 3, "jobs-dlq": 1}, lambda topic, number: (topic, number))

    assert made.of([("jobs", b"21"), ("jobs-dlq", b"21"), ("jobs", b"21")]) == [
        ("jobs", 0),
        ("jobs-dlq", 0),
        ("jobs", 0),
    ]
    assert made.all == [("jobs", 0), ("jobs", 1), ("jobs", 2), ("jobs-dlq", 0)]


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing() -> None:
    made = Partitioner({"jobs": 7}, number_of)
    places = [("jobs", b"%d" % number) for number in range(partitioner._MOST_KEYS + 50)]
    wanted = [(theirs(key) & 0x7FFFFFFF) % 7 for _, key in places]

    assert made.of(places[:100]) == wanted[:100]
    assert made.of(places[50:-50]) == wanted[50:-50]  # some remembered, some forgotten by it
    assert made.of(places[-100:]) == wanted[-100:]

    assert 0 < len(made._known) <= partitioner._MOST_KEYS
