"""Servers shared by all tests of a process, and fresh names inside them."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator

import pytest

from tests.support.servers import kafka as apache
from tests.support.servers import versions
from tests.support.servers.cache import FetchError
from tests.support.servers.mongo import MongoDeployment

#: Says where a program is, not how the bridge behaves.
KEPT = frozenset({"JOB_BRIDGE_MONGOD", "JOB_BRIDGE_TANSU"})

for name in [name for name in os.environ if name.startswith("JOB_BRIDGE_") and name not in KEPT]:
    del os.environ[name]


def pytest_configure() -> None:
    """Choose the servers before any test starts one; an unknown version ends the run."""
    try:
        versions.use_chosen_servers()
    except (versions.UnknownVersion, FetchError) as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Restore the loggers after a test that set up the log of a command."""
    names = ("", "bridge", "kafka", "pymongo", "asyncio")
    before = {
        name: (logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in names
    }
    yield
    for name, (handlers, level) in before.items():
        logger = logging.getLogger(name)
        for handler in logger.handlers:
            if handler not in handlers:
                handler.close()
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of other tests, which are words such as "first"."""
    monkeypatch.setattr("bridge.settings.hidden._known", {})


def pytest_report_header() -> str:
    return versions.summary()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not trace tests of other processes, nor property tests.

    Tracing adds nothing to the report there, and takes most of their time.
    """
    for item in items:
        if "e2e" in item.path.parts or getattr(getattr(item, "obj", None), "hypothesis", None):
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    """A replica set of one node."""
    with MongoDeployment(tmp_path_factory.mktemp("mongod")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apache.Kafka]:
    """Apache Kafka, without automatic topics."""
    apache.required()
    with apache.Kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
def database() -> str:
    """The name of a database nobody else uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topic(kafka: apache.Kafka) -> str:
    """A fresh topic of three partitions, and beside it its dead letters' topic, ``-dlq``."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    kafka.create_topic(name, partitions=3)
    kafka.create_topic(f"{name}-dlq", partitions=1)
    return name
