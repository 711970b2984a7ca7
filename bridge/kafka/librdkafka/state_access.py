"""Lists the checkpoints of a state topic, and checks the rights that its owner needs."""

from collections.abc import Sequence

from confluent_kafka import KafkaException

from bridge.errors import CheckpointUnusable
from bridge.kafka.kafka_python.rights import KafkaRights, owner_rights
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.librdkafka.group_members import describe_groups, members_of
from bridge.kafka.librdkafka.state_record import state_record_of
from bridge.kafka.librdkafka.state_topic import StateTopic
from bridge.kafka.topics import owner_id_of
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.settings import Settings


def entries_of(reader: StateTopic, admin: AdminClient) -> Sequence[CheckpointEntry]:
    """Return the checkpoints of all names, in their order.

    Args:
        reader: Reads the state topic.
        admin: Describes the groups of the names, which names the owners.
    """
    values = {key.decode(errors="replace"): value for key, value in reader.all().items()}
    records = {name: value for name, value in sorted(values.items()) if value is not None}
    owners = _owners(admin, list(records))
    return [
        _entry(name, value, owners.get(name, ""), f"the topic {reader.topic} ({name})")
        for name, value in records.items()
    ]


def check_state_rights(settings: Settings, owner_id: str) -> None:
    """Check the rights to the group and to the transactional id; changes nothing.

    Raises:
        NotPermitted: One of them is missing.
    """
    for _, error in owner_rights(KafkaRights(settings), owner_id):
        if error is not None:
            raise error


def _owners(admin: AdminClient, names: Sequence[str]) -> dict[str, str]:
    """Return the owners in words, by the name of the checkpoint."""
    owners = {}
    try:
        groups = describe_groups(admin, [owner_id_of(name) for name in names])
    except KafkaException as error:
        raise classify(error) from error
    for name in names:
        for member in members_of(groups[owner_id_of(name)]):
            if member.owns and not member.is_dead:
                owners[name] = member.text
    return owners


def _entry(name: str, value: bytes, owner: str, where: str) -> CheckpointEntry:
    try:
        return CheckpointEntry(name, state_record_of(value).checkpoint(name, where), owner)
    except CheckpointUnusable as error:
        return CheckpointEntry(name, None, owner, error.what)
