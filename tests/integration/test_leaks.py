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
from bridge.model.position import Position
from bridge.model.profile import profile_of
from bridge.sink import client as sink_client
from bridge.sink.producer import KafkaSink
from bridge.source.client import state_client
from bridge.source.mongo import MongoSource
from tests.servers.kafka import Kafka


def _config(**options: object) -> Config:
    return load(None, {name.replace("__", "."): value for name, value in options.items()}, {})


ATTEMPTS = 6


def _held() -> int:
    gc.collect()
    return threading.active_count() + len(os.listdir("/proc/self/fd"))


def _leaves_nothing(attempt: Callable[[], None]) -> None:
    """Other tests' servers come and go: what counts is that not every attempt leaves something."""
    attempt()
    before = _held()
    for _ in range(ATTEMPTS):
        attempt()
    assert _held() - before < ATTEMPTS


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="file descriptors are counted in /proc")


def test_a_broker_that_is_away_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_client, "BOOTSTRAP_MS", 200)
    config = _config(kafka__bootstrap_servers=f"127.0.0.1:{free_port()}")

    def attempt() -> None:
        with pytest.raises(Retryable), KafkaSink(config, "t-dlq", threading.Event()):
            pass

    _leaves_nothing(attempt)


def test_a_closed_sink_leaves_nothing_behind(kafka: Kafka, topic: str) -> None:
    config = _config(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic)

    def attempt() -> None:
        with KafkaSink(config, f"{topic}-dlq", threading.Event()):
            pass

    _leaves_nothing(attempt)


def test_a_closed_stream_leaves_nothing_behind(mongo: Mongod, database: str) -> None:
    config = _config(mongo__uri=mongo.uri, mongo__database=database)
    client = state_client(config)
    source = MongoSource(config, profile_of(config), client)
    start = Position(source.origin().cluster_time)

    def attempt() -> None:
        with source.open(start, threading.Event(), by_time=False) as stream:
            assert stream.read() is not None

    _leaves_nothing(attempt)
    source.close()
    client.close()
