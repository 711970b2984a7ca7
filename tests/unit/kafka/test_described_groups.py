"""The members of an owner group, by their description."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaException, TopicPartition

from bridge.kafka.librdkafka import group_members
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.group_members import describe_groups, members_of, membership_of


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


def test_librdkafka_has_no_deadline_for_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that times out may end the process later; the wait has a deadline of its own."""
    monkeypatch.setattr(group_members, "DESCRIBE_SECONDS", 0.1)
    timeouts: list[float] = []

    def describe(groups: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        timeouts.append(request_timeout)
        return {group: Future() for group in groups}

    admin = cast(AdminClient, SimpleNamespace(describe_consumer_groups=describe))
    with pytest.raises(KafkaException, match="no coordinator answered"):
        describe_groups(admin, ["job-bridge-jobs"])

    assert timeouts and set(timeouts) == {3600.0}
