"""Values of ``_id`` that are job ids, with their texts, and documents that are not UTF-8."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, Int64, ObjectId
from bson.raw_bson import RawBSONDocument

from bridge.mongo.raw_text import query

UUID_TEXTS = ("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "ffffffff-4b5a-6978-8796-a5b4c3d2e1f0")

#: By the text of the job id.
USABLE: dict[str, Any] = {
    "job-1": "job-1",
    "übung": "übung",
    UUID_TEXTS[0]: Binary(UUID(UUID_TEXTS[0]).bytes, 4),
    UUID_TEXTS[1]: Binary(UUID(UUID_TEXTS[1]).bytes, 3),
    "65e5f0a1b2c3d4e5f6a7b8c9": ObjectId("65e5f0a1b2c3d4e5f6a7b8c9"),
    "7": 7,
    "-9223372036854775808": Int64(-(2**63)),
    "1.50": Decimal128("1.50"),
    "2026-03-02T20:31:02.511000+00:00": datetime(2026, 3, 2, 20, 31, 2, 511000),
}

#: By a part of the reason why it has no text.
UNUSABLE: dict[str, Any] = {
    "is missing": None,
    "is dict, not text": {"site": 1},
    "is bool, not text": True,
    "is float, not text": 7.5,
    "is bytes, not text": b"plain bytes",
    "is binary of subtype 4 with 5 bytes": Binary(b"short", 4),
}

#: A profile whose job id is ``_id``.
BY_DOCUMENT_ID = {
    "jobs.profile": "custom",
    "jobs.id_field": "_id",
    "jobs.state_field": "state",
    "jobs.transitions_field": "transition_times",
    "jobs.updated_field": "_update_time",
}


def raw_text(data: bytes) -> str:
    """Text with these bytes, as the bridge decodes it."""
    return data.decode("utf-8", "surrogateescape")


def raw_document(document: dict[str, Any]) -> RawBSONDocument:
    """A document whose texts may be any bytes."""
    return query(document)
