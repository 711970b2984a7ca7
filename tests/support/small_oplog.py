"""An oplog that rolls over: a node that keeps little, and writes until it has forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.demo.servers.process import poll
from tests.support.servers.mongo import MongoDeployment

OPLOG_MEGABYTES = 16
#: The oplog forgets only what the last flush no longer needs.
FLUSHED_OFTEN = ("--syncdelay", "1")
_JUNK = b"x" * 2**20
_ROLL_SECONDS = 120


def roll_past(mongo: MongoDeployment, position: Sequence[int]) -> None:
    """Write elsewhere until the oplog starts after ``position``, seconds and increment."""
    with mongo.client(0) as client:

        def rolled() -> bool:
            client["junk"]["junk"].insert_one({"junk": _JUNK})
            oldest = client["local"]["oplog.rs"].find_one(sort=[("$natural", 1)])
            return oldest is not None and [oldest["ts"].time, oldest["ts"].inc] > list(position)

        poll(rolled, "a rolled oplog", _ROLL_SECONDS)
