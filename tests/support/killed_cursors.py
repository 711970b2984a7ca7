"""Kills the cursor of a change stream."""

from __future__ import annotations

from typing import Any

from tests.support.source_under_test import SourceUnderTest


def kill(jobs: SourceUnderTest) -> None:
    """Kill the cursor of this collection's change stream, idle or during a read."""
    namespace = f"{jobs.database.name}.{jobs.collection.name}"
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True}},
        {"$match": {"ns": namespace, "cursor": {"$exists": True}}},
    ]
    cursors: list[int] = []
    while not cursors:  # between two reads it shows for no moment
        cursors = [entry["cursor"]["cursorId"] for entry in jobs.client.admin.aggregate(stages)]
    jobs.database.command("killCursors", jobs.collection.name, cursors=cursors)
