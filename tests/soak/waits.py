"""Counts the writes that waited for MongoDB, of which the two counts of the objective differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pymongo import MongoClient

from bridge.model import objective


def waiting_writes(uri: str, namespace: str) -> int:
    """Count the writes that MongoDB committed a second or more after the time that they contain.

    The bridge counts from the commit, and ``verify`` from that time: it knows no other.
    """
    with MongoClient[dict[str, Any]](uri) as client:
        entries = client["local"]["oplog.rs"].find({"ns": namespace})
        return sum(
            (entry["wall"] - latest).total_seconds() >= objective.SECONDS
            for entry in entries
            if (latest := max(_times(entry["o"]), default=None)) is not None
        )


def _times(value: object) -> Iterator[datetime]:
    if isinstance(value, datetime):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _times(inner)
