"""Repeated attempts leave no thread and no file descriptor open."""

import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bridge.app.background import Background
from bridge.clock import SystemClock
from bridge.demo.servers.process import free_port
from bridge.errors import Retryable
from bridge.kafka import timeouts
from bridge.kafka.drivers import driver_of
from bridge.model.position import position_before
from bridge.model.profile import profile_of
from bridge.mongo.checkpoints import MongoCheckpointStore
from bridge.mongo.client import state_client
from bridge.mongo.source import MongoSource
from bridge.pipeline.pulse import Pulse
from bridge.settings import Settings, load
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment


def _config(**options: object) -> Settings:
    return load(None, {name.replace("__", "."): value for name, value in options.items()}, {})


ATTEMPTS = 6


def _held() -> int:
    gc.collect()
    return _counted()


def _counted() -> int:
    return len(os.listdir("/proc/self/task")) + len(os.listdir("/proc/self/fd"))


def _leaves_nothing(attempt: Callable[[], None], held: Callable[[], int] = _held) -> None:
    # Other tests' servers start and stop: only a leak with every attempt counts.
    attempt()
    before = held()
    for _ in range(ATTEMPTS):
        attempt()
    assert held() - before < ATTEMPTS


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="file descriptors are counted in /proc"
)


@pytest.fixture(autouse=True)
def without_log_records(caplog: pytest.LogCaptureFixture) -> None:
    """pytest keeps log records, and the connections in them, until the test ends."""
    caplog.set_level(logging.CRITICAL, "kafka")


DRIVERS = pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])


@DRIVERS
def test_a_broker_that_is_away_leaves_nothing_behind(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "BOOTSTRAP_SECONDS", 0.2)
    settings = _config(kafka__bootstrap_servers=f"127.0.0.1:{free_port()}", kafka__driver=driver)

    def attempt() -> None:
        with (
            pytest.raises(Retryable),
            driver_of(settings).sink(settings, "t-dlq", threading.Event()),
        ):
            pass

    _leaves_nothing(attempt)


@DRIVERS
def test_waiting_for_a_broker_leaks_nothing(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It collects garbage seldom, so nothing may be left to that."""
    monkeypatch.setattr(timeouts, "BOOTSTRAP_SECONDS", 0.2)
    settings = _config(kafka__bootstrap_servers=f"127.0.0.1:{free_port()}", kafka__driver=driver)
    pulse = Pulse(SystemClock())
    background = Background(pulse)

    def attempt() -> None:
        with ExitStack() as stack, pytest.raises(Retryable):
            background.enter(stack, driver_of(settings).sink(settings, "t-dlq", threading.Event()))
        gc.collect()  # As the bridge does after each session.
        pulse.sleep(0.01)

    gc.disable()
    try:
        _leaves_nothing(attempt, _counted)
    finally:
        gc.enable()


@DRIVERS
def test_a_closed_sink_leaves_nothing_behind(driver: str, kafka: Kafka, topic: str) -> None:
    settings = _config(
        kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic, kafka__driver=driver
    )

    def attempt() -> None:
        with driver_of(settings).sink(settings, f"{topic}-dlq", threading.Event()):
            pass

    _leaves_nothing(attempt)


def test_a_closed_stream_leaves_nothing_behind(mongo: MongoDeployment, database: str) -> None:
    settings = _config(mongo__uri=mongo.uri, mongo__database=database)
    client = state_client(settings)
    source = MongoSource(settings, profile_of(settings), client)
    start = position_before(source.identity().cluster_time)

    def attempt() -> None:
        with source.open(start, threading.Event(), by_time=False) as stream:
            assert stream.read() is not None

    _leaves_nothing(attempt)
    source.close()
    client.close()


def test_replaced_clients_leave_nothing_behind(mongo: MongoDeployment, database: str) -> None:
    """A bridge may replace its clients every minute for days."""
    settings = _config(mongo__uri=mongo.uri, mongo__database=database)
    with closing(state_client(settings)) as client:
        source = MongoSource(settings, profile_of(settings), client)
        store = MongoCheckpointStore(client, database, "name", lease_seconds=10)
        assert store.acquire() == ""
        start = position_before(source.identity().cluster_time)

        def attempt() -> None:
            with source.open(start, threading.Event(), by_time=False) as stream:
                assert stream.read() is not None
            source.history.count()
            source.replace_clients()
            # The checkpoint keeps its owner and its epoch.
            store.renew()

        epoch = store.epoch
        _leaves_nothing(attempt)
        assert store.epoch == epoch
        source.close()


def test_a_frozen_server_delays_a_replacement_by_seconds(tmp_path: Path) -> None:
    with MongoDeployment(tmp_path) as server:
        settings = _config(mongo__uri=server.uri)
        with closing(state_client(settings)) as client:
            source = MongoSource(settings, profile_of(settings), client)
            source.identity()
            source.history.count()
            server.pause()
            try:
                started = time.monotonic()
                source.replace_clients()
                waited = time.monotonic() - started
            finally:
                server.resume()
            source.identity()
            source.close()

    assert waited < 15
