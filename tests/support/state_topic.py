"""The compacted topic in which bridges store their positions when Kafka stores them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.support.servers.kafka import Kafka
from tests.support.servers.records import TopicRecord
from tests.support.witness import Save

SUFFIX = "-bridge-state"
SEGMENT_BYTES = 16 * 2**20


def create_state_topic(kafka: Kafka, topic: str) -> None:
    """Create the state topic of ``topic``, as an administrator would."""
    kafka.create_topic(
        f"{topic}{SUFFIX}", partitions=1, cleanup_policy="compact", segment_bytes=SEGMENT_BYTES
    )


def committed_records(kafka: Kafka, topic: str, name: str) -> list[TopicRecord]:
    """The committed records of the checkpoint ``name``, oldest first."""
    records = kafka.read(f"{topic}{SUFFIX}")
    return [record for record in records if record.key == name.encode()]


def stored_checkpoint(kafka: Kafka, topic: str, name: str) -> Mapping[str, Any]:
    """The newest committed record; empty before the first."""
    records = committed_records(kafka, topic, name)
    found: Mapping[str, Any] = json.loads(records[-1].value or b"{}") if records else {}
    return found


def stored_saves(kafka: Kafka, topic: str, name: str, *, transactional: bool) -> list[Save]:
    """Every committed position.

    In a transaction a record precedes some of the messages that it covers, so no moment by which
    they must be there can be given: it is infinite.
    """
    saves = []
    for record in committed_records(kafka, topic, name):
        found = json.loads(record.value or b"{}")
        if found.get("token"):
            at = min(found["saved_at"] * 1000, record.timestamp)
            saves.append(
                Save(found["token"], float("inf") if transactional else at, found["epoch"])
            )
    return saves
