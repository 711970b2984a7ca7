"""Trying again for days must cost nothing: no thread and no file descriptor is left behind."""

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import Config, load
from bridge.demo.mongod import Mongod
from bridge.demo.process import free_port
from bridge.errors import Retryable
from bridge.model.position import position_from
from bridge.model.profile import profile_of
from bridge.sink import terms
from bridge.sink.driver import driver_of
from bridge.source.client import state_client
from bridge.source.mongo import MongoSource
from tests.servers.kafka import Kafka


def _config(**options: object) -> Config:
    return load(None, {name.replace("__", "."): value for name, value in options.items()}, {})


ATTEMPTS = 6


def _held() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/task")) + len(os.listdir("/proc/self/fd"))


def _leaves_nothing(attempt: Callable[[], None]) -> None:
    """Other tests' servers come and go: what counts is that not every attempt leaves something."""
    attempt()
    before = _held()
    for _ in range(ATTEMPTS):
        attempt()
    assert _held() - before < ATTEMPTS


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="file descriptors are counted in /proc")


DRIVERS = pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])


@DRIVERS
def test_a_broker_that_is_away_leaves_nothing_behind(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "BOOTSTRAP_SECONDS", 0.2)
    config = _config(kafka__bootstrap_servers=f"127.0.0.1:{free_port()}", kafka__driver=driver)

    def attempt() -> None:
        with pytest.raises(Retryable), driver_of(config).sink(config, "t-dlq", threading.Event()):
            pass

    _leaves_nothing(attempt)


@DRIVERS
def test_a_closed_sink_leaves_nothing_behind(driver: str, kafka: Kafka, topic: str) -> None:
    config = _config(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic, kafka__driver=driver)

    def attempt() -> None:
        with driver_of(config).sink(config, f"{topic}-dlq", threading.Event()):
            pass

    _leaves_nothing(attempt)


def test_a_closed_stream_leaves_nothing_behind(mongo: Mongod, database: str) -> None:
    config = _config(mongo__uri=mongo.uri, mongo__database=database)
    client = state_client(config)
    source = MongoSource(config, profile_of(config), client)
    start = position_from(source.origin().cluster_time)

    def attempt() -> None:
        with source.open(start, threading.Event(), by_time=False) as stream:
            assert stream.read() is not None

    _leaves_nothing(attempt)
    source.close()
    client.close()
