"""Requests about groups and transactional ids that librdkafka's clients do not have."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from kafka.admin import MemberToRemove
from kafka.errors import (
    KafkaError,
    UnknownMemberIdError,
)

from bridge.kafka import timeouts
from bridge.kafka.errors import transactional_id_permission_error
from bridge.kafka.kafka_python.admin_patches import TransactionAdmin
from bridge.kafka.kafka_python.client import connection, make_client, make_latest_warning
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.transactional_ids import transactional_ids
from bridge.settings import Settings

#: How long to look for a broker, and how long each request may take.
_SECONDS = 5.0
_RETRY_SECONDS = 0.2


def remove_members(settings: Settings, group: str, members: Sequence[tuple[str, str]]) -> None:
    """Remove members from a group; one that has left is no error.

    Args:
        settings: The connection.
        group: The group's id.
        members: The member id and, for a static member, its instance id; else an empty text.

    Raises:
        BridgeError: The coordinator did not answer, or refuses.
    """
    removals = [MemberToRemove(member, instance or None) for member, instance in members]
    with _admin(settings) as admin:
        for error in admin.remove_group_members(group, removals).values():
            with suppress(UnknownMemberIdError):
                if error.errno:
                    raise error(f"removing a member of {group}")


def check_transactional_ids(settings: Settings, transactional_id: str) -> None:
    """Look whether this user may use both ids; changes nothing, and fences no producer.

    Raises:
        NotPermitted: This user may not.
        BridgeError: The coordinator did not answer.
    """
    with _admin(settings) as admin:
        for name in transactional_ids(transactional_id):
            if not _may_use(admin, name):
                raise transactional_id_permission_error(transactional_id)


def _may_use(admin: TransactionAdmin, transactional_id: str) -> bool:
    """Ask again while Kafka makes a coordinator, as for the first transaction of a cluster."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return admin.may_use_transactional_id(transactional_id)
        except KafkaError as error:
            if not error.retriable or time.monotonic() >= deadline:
                raise
        time.sleep(_RETRY_SECONDS)


@contextmanager
def _admin(settings: Settings) -> Iterator[TransactionAdmin]:
    latest_warning = make_latest_warning()
    options = connection(settings) | {
        "bootstrap_timeout_ms": timeouts.milliseconds(_SECONDS),
        "request_timeout_ms": timeouts.milliseconds(_SECONDS),
    }
    try:
        admin = make_client(TransactionAdmin, latest_warning, **options)
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        raise classify(error, latest_warning.recent()) from error
