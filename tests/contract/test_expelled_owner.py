"""An owner that the group has expelled, and that joins again before it notices."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from bridge.errors import Retryable
from bridge.kafka.kafka_python.groups import remove_members
from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
from bridge.kafka.librdkafka.group_members import GroupMember, GroupMembers
from tests.support.factories import checkpoint
from tests.support.servers.kafka import Kafka
from tests.support.stores_under_test import KafkaStore, acquired, owned

#: Long enough for the client to join again by itself.
REJOIN_SECONDS = 2.0
RENEWALS_SECONDS = 20.0


def test_an_expelled_owner_does_not_fence_itself(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator describes its new membership, which the client has not reported yet."""
    stores = KafkaStore(kafka, topic)
    owner = owned(stores)
    assert isinstance(owner, KafkaCheckpointStore)
    owner.save(checkpoint(1))
    describe = GroupMembers.now

    def late(members: GroupMembers, seconds: float) -> tuple[GroupMember, ...] | None:
        time.sleep(REJOIN_SECONDS)
        return describe(members, seconds)

    monkeypatch.setattr(GroupMembers, "now", late)
    members = owner._ownership._members
    known = describe(members, 5.0)
    assert known
    remove_members(
        stores.settings(),
        owner.transactional_id,
        [(member.member_id, member.instance) for member in known],
    )

    lost = 0
    end = time.monotonic() + RENEWALS_SECONDS
    while time.monotonic() < end and not lost:
        try:
            owner.renew()
        except Retryable:
            lost += 1
        time.sleep(0.05)
    with suppress(Retryable):
        owner.renew()

    assert acquired(owner)
    owner.save(checkpoint(2, sequence=2))
    stores.close()
