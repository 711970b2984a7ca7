"""Removes members from a consumer group, which librdkafka cannot do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.errors import (
    KafkaError,
    UnknownMemberIdError,
)

from bridge.kafka import timeouts
from bridge.kafka.kafka_python.client import connection, make_client, make_latest_warning
from bridge.kafka.kafka_python.errors import classify
from bridge.settings import Settings

#: How long to look for a broker, and how long each request may take.
_SECONDS = 5.0


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


@contextmanager
def _admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    latest_warning = make_latest_warning()
    options = connection(settings) | {
        "bootstrap_timeout_ms": timeouts.milliseconds(_SECONDS),
        "request_timeout_ms": timeouts.milliseconds(_SECONDS),
    }
    try:
        admin = make_client(KafkaAdminClient, latest_warning, **options)
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        raise classify(error, latest_warning.recent()) from error
