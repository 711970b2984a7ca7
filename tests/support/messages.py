"""Reads the messages that Kafka has received, and what other programs may write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.servers.kafka import Kafka
from tests.support.servers.records import TopicRecord


class NotUtf8(str):
    """The name of a header that is encoded as something else, as a careless program does."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def values(records: Sequence[TopicRecord]) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in records]


def header(record: TopicRecord, name: str) -> bytes | None:
    return dict(record.headers).get(name)


def published_states(kafka: Kafka, topic: str, job_id: str) -> list[str]:
    """The states in the messages of a job, in order."""
    return [value["state"] for value in values(kafka.read(topic)) if value["job_id"] == job_id]


def dead_letters(kafka: Kafka, topic: str) -> list[dict[str, Any]]:
    """The values of the dead letters, in order."""
    return values(kafka.read(f"{topic}-dlq"))
