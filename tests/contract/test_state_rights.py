"""Rights of the store in Kafka, withheld or withdrawn: exit 77, and the right is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kafka.admin import ACLOperation, ResourceType

from bridge.errors import BridgeError, NotPermitted
from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
from tests.support.factories import checkpoint, settings
from tests.support.servers import kafka as apache
from tests.support.servers.kafka import Kafka
from tests.support.stores_under_test import KafkaStore, acquired

READ, WRITE, DESCRIBE = ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE
TOPIC = "locked"
STATE = f"{TOPIC}-bridge-state"
OWNER = "job-bridge-bridge"
#: The rights that a store needs: the resource, and the operations on it.
NEEDED = {
    "topic": (ResourceType.TOPIC, TOPIC, (DESCRIBE, WRITE)),
    "state": (ResourceType.TOPIC, STATE, (DESCRIBE, READ, WRITE)),
    "group": (ResourceType.GROUP, OWNER, (READ,)),
    "transactions": (ResourceType.TRANSACTIONAL_ID, OWNER, (DESCRIBE, WRITE)),
    "transactions/2": (ResourceType.TRANSACTIONAL_ID, f"{OWNER}/2", (DESCRIBE, WRITE)),
}
#: What is withheld, and the text that names it.
WITHHELD = {
    "state-read": ("state", READ, f"read the state topic {STATE}"),
    "state-write": ("state", WRITE, f"write the state topic {STATE}"),
    "group-read": ("group", READ, f"the consumer group {OWNER}"),
    "transactions-write": ("transactions", WRITE, f"the transactional id {OWNER}"),
    "transactions-second": ("transactions/2", WRITE, f"the transactional id {OWNER}"),
    "transactions-all": ("transactions", None, f"the transactional id {OWNER}"),
}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker with a user for each right that is withheld."""
    apache.required()
    users = {"admin": "secret", "whole": "secret", **dict.fromkeys(WITHHELD, "secret")}
    with Kafka(tmp_path_factory.mktemp("locked-kafka"), users=users) as server:
        for name in (TOPIC, f"{TOPIC}-dlq"):
            server.create_topic(name)
        KafkaStore(server, TOPIC)
        for user in users:
            part, operation, _ = WITHHELD.get(user, ("", None, ""))
            for name, (kind, resource, operations) in NEEDED.items():
                if name != part or operation is not None:
                    granted = [other for other in operations if (name, other) != (part, operation)]
                    if granted:
                        server.allow(user, kind, resource, *granted)
        yield server


@pytest.fixture
def opened() -> Iterator[list[KafkaCheckpointStore]]:
    stores: list[KafkaCheckpointStore] = []
    yield stores
    for store in stores:
        store.release()


def store_of(kafka: Kafka, user: str, opened: list[KafkaCheckpointStore]) -> KafkaCheckpointStore:
    login: dict[str, Any] = {
        "kafka__security_protocol": "SASL_PLAINTEXT",
        "kafka__sasl_mechanism": "PLAIN",
        "kafka__sasl_username": user,
        "kafka__sasl_password": "secret",
    }
    chosen = settings(
        kafka__bootstrap_servers=kafka.bootstrap,
        kafka__topic=TOPIC,
        checkpoint__store="kafka",
        checkpoint__name="bridge",
        **login,
    )
    opened.append(KafkaCheckpointStore(chosen, f"{TOPIC}-dlq"))
    return opened[-1]


def test_the_needed_rights_suffice(locked: Kafka, opened: list[KafkaCheckpointStore]) -> None:
    store = store_of(locked, "whole", opened)
    store.check_rights()
    assert acquired(store)
    store.save(checkpoint(1))
    store.renew()
    assert [entry.name for entry in store.entries()] == ["bridge"]
    assert store.describe().is_us
    assert store_of(locked, "whole", opened).load() is not None


@pytest.mark.parametrize("user", WITHHELD)
def test_a_withheld_right_is_named(
    locked: Kafka, user: str, opened: list[KafkaCheckpointStore]
) -> None:
    store = store_of(locked, user, opened)

    with pytest.raises(NotPermitted, match=WITHHELD[user][2]) as refusal:
        acquired(store)

    assert "Grant " in refusal.value.todo


@pytest.mark.parametrize("user", WITHHELD)
def test_the_check_names_a_withheld_right(
    locked: Kafka, user: str, opened: list[KafkaCheckpointStore]
) -> None:
    """The check changes nothing: a running bridge keeps the ownership."""
    owner = store_of(locked, "whole", opened)
    assert acquired(owner)

    with pytest.raises(NotPermitted, match=WITHHELD[user][2]):
        store_of(locked, user, opened).check_rights()

    owner.save(checkpoint(2, sequence=int(1e6)))
    owner.renew()


def test_a_reader_needs_only_read(locked: Kafka, opened: list[KafkaCheckpointStore]) -> None:
    """Commands that show a position need no right to the group or to the id."""
    for user in ("transactions-all", "group-read"):
        try:
            store_of(locked, user, opened).load()
        except BridgeError as error:
            pytest.fail(str(error))
