"""Asks a coordinator whether this user has a right, by requests that cannot succeed.

A broker checks the rights before anything else. So the answer shows whether the right is there,
and nothing changes: no producer has the id, and no member of a group has the name.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.protocol.consumer.group import HeartbeatRequest
from kafka.protocol.metadata import CoordinatorType
from kafka.protocol.producer.transaction import EndTxnRequest

from bridge.errors import NotPermitted
from bridge.kafka.errors import transactional_id_permission_error
from bridge.kafka.kafka_python.client import connection, make_client, make_latest_warning
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.state_errors import group_permission_error
from bridge.kafka.topics import parse_setting
from bridge.kafka.transactional_ids import transactional_ids
from bridge.settings import Settings

T = TypeVar("T")

#: Brokers count producers from 0.
_NO_PRODUCER = 2**63 - 1
_NO_MEMBER = "job-bridge-check"
#: The first question creates the coordinators' own topics.
_COORDINATOR_SECONDS = 10.0
_PAUSE_SECONDS = 0.2


class KafkaRights:
    """The rights of this user in Kafka; each call opens a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._latest_warning = make_latest_warning()

    def may_join(self, group: str) -> bool:
        """Return whether this user has Read on the group. Raises the bridge's errors."""
        request = HeartbeatRequest(
            group_id=group, generation_id=-1, member_id=_NO_MEMBER, max_version=3
        )
        return self._is_allowed(
            request, group, CoordinatorType.GROUP, kafka_errors.GroupAuthorizationFailedError
        )

    def may_use(self, transactional_id: str) -> bool:
        """Return whether this user has Write on the transactional id. Raises the bridge's errors.

        It does not fence the producer that uses the id.
        """
        request = EndTxnRequest(
            transactional_id=transactional_id,
            producer_id=_NO_PRODUCER,
            producer_epoch=0,
            committed=False,
        )
        return self._is_allowed(
            request,
            transactional_id,
            CoordinatorType.TRANSACTION,
            kafka_errors.TransactionalIdAuthorizationFailedError,
        )

    def broker_setting(self, name: str) -> int | None:
        """Return a broker's setting; None if this user may not read it."""
        return self._asked(lambda admin: _broker_setting(admin, name))

    def _is_allowed(
        self, request: Any, key: str, kind: CoordinatorType, refusal: type[Exception]
    ) -> bool:
        def ask(admin: KafkaAdminClient) -> bool:
            try:
                response = _sent_to_coordinator(admin, request, key, kind)
            except refusal:
                return False
            return kafka_errors.for_code(response.error_code) is not refusal

        return self._asked(ask)

    def _asked(self, question: Callable[[KafkaAdminClient], T]) -> T:
        try:
            options = connection(self._settings)
            admin = make_client(KafkaAdminClient, self._latest_warning, **options)
            try:
                return question(admin)
            finally:
                admin.close()
        except (kafka_errors.KafkaError, OSError, ValueError) as error:
            raise classify(error, self._latest_warning.recent()) from error


def owner_rights(rights: KafkaRights, owner_id: str) -> Iterator[tuple[str, NotPermitted | None]]:
    """Yield each right of an owner to its group and transactional ids, in words.

    With each right comes the error if it is missing. Raises the bridge's errors.
    """
    joins = rights.may_join(owner_id)
    refusal = group_permission_error(owner_id, "its ACLs do not contain Read")
    yield f"may join the consumer group {owner_id}", None if joins else refusal
    for transactional_id in transactional_ids(owner_id):
        uses = rights.may_use(transactional_id)
        error = None if uses else transactional_id_permission_error(transactional_id)
        yield f"may use the transactional id {transactional_id}", error


def _sent_to_coordinator(
    admin: KafkaAdminClient, request: Any, key: str, kind: CoordinatorType
) -> Any:
    give_up = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            return admin._manager.run(_send, admin, request, key, kind)
        except kafka_errors.KafkaError as error:
            if not error.retriable or time.monotonic() >= give_up:
                raise
        time.sleep(_PAUSE_SECONDS)


async def _send(admin: KafkaAdminClient, request: Any, key: str, kind: CoordinatorType) -> Any:
    node = await admin._find_coordinator_id(key, key_type=kind)
    return await admin._manager.send(request, node_id=node)


def _broker_setting(admin: KafkaAdminClient, name: str) -> int | None:
    brokers = admin.describe_cluster()["brokers"]
    resource = ConfigResource(ConfigResourceType.BROKER, str(brokers[0]["broker_id"]))
    try:
        configs = admin.describe_configs([resource], config_filter="all")
    except (kafka_errors.ClusterAuthorizationFailedError, ValueError):
        return None
    for settings in configs.get("broker", {}).values():
        return parse_setting(settings.get(name, {}).get("value"))
    return None
