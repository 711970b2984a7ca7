"""Only the first partition of the state topic makes an owner."""

from __future__ import annotations

from types import SimpleNamespace

from confluent_kafka import TopicPartition

from bridge.kafka.librdkafka.group_members import members_of, membership_of


def described(member_id: str, *partitions: int) -> SimpleNamespace:
    assigned = [TopicPartition("jobs-bridge-state", number) for number in partitions]
    return SimpleNamespace(
        member_id=member_id,
        group_instance_id=None,
        client_id=member_id,
        host="/10.0.0.1",
        assignment=SimpleNamespace(topic_partitions=assigned),
    )


def test_the_first_partition_makes_the_owner() -> None:
    """A state topic may have been created with more partitions by mistake."""
    members = members_of(
        SimpleNamespace(members=[described("b", 1), described("a", 0), described("c")])
    )

    assert [member.owns for member in members] == [False, True, False]
    assert membership_of(members, "a", {}).is_us
