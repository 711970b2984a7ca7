"""The script of the ACLs grants all that a bridge with its position in Kafka uses."""

from __future__ import annotations

from kafka.admin import ACLOperation, ResourceType

from bridge.kafka.topics import owner_id_of
from bridge.kafka.transactional_ids import transactional_ids
from tests.support.granted_rights import state_grants

NAME = "cts.jobs"


def granted(kind: ResourceType) -> dict[str, set[ACLOperation]]:
    return {
        name: set(ops) for each_kind, name, ops in state_grants("topic", NAME) if each_kind == kind
    }


class TestGrantedIds:
    def test_every_transactional_id_is_granted(self) -> None:
        needed = {ACLOperation.DESCRIBE, ACLOperation.WRITE}

        assert granted(ResourceType.TRANSACTIONAL_ID) == dict.fromkeys(
            transactional_ids(owner_id_of(NAME)), needed
        )

    def test_the_group_is_granted(self) -> None:
        assert granted(ResourceType.GROUP) == {owner_id_of(NAME): {ACLOperation.READ}}
