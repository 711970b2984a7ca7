"""Benches for fault tests: each a fresh topic and database on shared servers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge.demo.servers.mongod import Mongod
from tests.support.delivery_cases import AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, Way
from tests.support.fault_scenario import Bench
from tests.support.servers.kafka import Kafka

MakeBench = Callable[[Mongod], Bench]


@pytest.fixture(scope="session")
def repeats() -> int:
    """How often each fault with chance in it is repeated."""
    return int(os.environ.get("FAULT_REPEATS", "2"))


@pytest.fixture
def topic(kafka: Kafka) -> str:
    """A fresh topic whose timestamps say when the broker had a message, and its dead letters' topic."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    kafka.create_topic(name, partitions=3, message_timestamp_type="LogAppendTime")
    kafka.create_topic(f"{name}-dlq", partitions=1)
    return name


@pytest.fixture(params=[AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    """Every fault is tried with each driver; tests that hold for other modes too ask for ``EVERY_WAY``."""
    assert isinstance(request.param, Way)
    return request.param


@pytest.fixture
def make_bench(
    kafka: Kafka, database: str, topic: str, way: Way, tmp_path: Path
) -> Iterator[MakeBench]:
    """Makes a bench on a deployment of the test's own."""
    with ExitStack() as stack:
        yield lambda mongo: stack.enter_context(Bench(mongo, kafka, database, topic, way, tmp_path))


@pytest.fixture
def bench(make_bench: MakeBench, mongo: Mongod) -> Bench:
    """A bench on the shared single node."""
    return make_bench(mongo)
