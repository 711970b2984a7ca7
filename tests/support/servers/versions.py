"""The servers that tests run on, chosen by ``TEST_MONGOD`` and ``TEST_KAFKA``.

The variables contain versions, as in ``TEST_MONGOD=6.0.27``; empty means the default. A program in
``JOB_BRIDGE_MONGOD`` is used where ``TEST_MONGOD`` is empty.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from bridge.app.tested_versions import KAFKA, MONGODB
from tests.support.servers.mongod_program import fetch_mongod

PROGRAM = "JOB_BRIDGE_MONGOD"


class UnknownVersion(ValueError):
    """The tests cannot run on the chosen version."""


def mongod_version() -> str:
    """The version of mongod; without meaning where :func:`mongod_is_chosen` is False."""
    return _chosen("mongod", MONGODB)


def kafka_version() -> str:
    return _chosen("Kafka", KAFKA)


def kafka_is_chosen() -> bool:
    """Whether the tests must not be skipped where Kafka cannot run."""
    return bool(os.environ.get("TEST_KAFKA"))


def mongod_is_chosen() -> bool:
    """Whether the version of mongod is known, and not that of a developer's own program."""
    return bool(os.environ.get("TEST_MONGOD")) or PROGRAM not in os.environ


def use_chosen_servers() -> None:
    """Fetch the chosen mongod, and let this process and its children run it.

    Raises:
        UnknownVersion: A version is not among the tested ones.
        FetchError: The program cannot be fetched.
    """
    kafka_version()
    version = mongod_version()
    if version != MONGODB[0]:
        os.environ[PROGRAM] = str(fetch_mongod(version))
    elif os.environ.get("TEST_MONGOD"):
        os.environ.pop(PROGRAM, None)


def summary() -> str:
    """The servers in use, for the header of a test run."""
    mongod = mongod_version() if mongod_is_chosen() else os.environ[PROGRAM]
    return f"servers: mongod {mongod}, Apache Kafka {kafka_version()}"


def _chosen(server: str, tested: Sequence[str]) -> str:
    version = os.environ.get(f"TEST_{server.upper()}") or tested[0]
    if version not in tested:
        known = " or ".join(tested)
        raise UnknownVersion(f"The tests cannot run on {server} {version}, only on {known}")
    return version
