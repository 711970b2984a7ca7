"""An oplog that rolls over: a node that keeps little, and writes until it has forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bridge.demo.servers.process import poll
from tests.support.servers.mongo import MongoDeployment

OPLOG_MEGABYTES = 16
_JUNK = b"x" * 2**20
_ROLL_SECONDS = 120


@contextmanager
def forgetful_node(folder: Path) -> Iterator[MongoDeployment]:
    """A node with a small oplog, which keeps little more than the last flush still needs."""
    with MongoDeployment(
        folder, oplog_megabytes=OPLOG_MEGABYTES, arguments=("--syncdelay", "1")
    ) as server:
        yield server


def roll_past(mongo: MongoDeployment, position: Sequence[int]) -> None:
    """Write elsewhere until the oplog starts after ``position``, seconds and increment."""
    with mongo.client(0) as client:

        def rolled() -> bool:
            client["junk"]["junk"].insert_one({"junk": _JUNK})
            oldest = client["local"]["oplog.rs"].find_one(sort=[("$natural", 1)])
            return oldest is not None and [oldest["ts"].time, oldest["ts"].inc] > list(position)

        poll(rolled, "a rolled oplog", _ROLL_SECONDS)
