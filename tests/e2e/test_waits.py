"""A start and a stop that wait: for a silent server, and with a log that nothing reads."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.demo.servers.process import free_port, poll
from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.command import PROGRAM, ROOT, SECRET, environment
from tests.support.http_crowd import ask
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment
from tests.support.servers.proxy import TcpProxy

_PIPE_BYTES = 4096


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that is full, and that nothing reads."""
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.write(writer, b"x" * size)
    yield writer
    os.close(reader)
    os.close(writer)


def unready_reasons(port: int) -> list[str]:
    """Return the lines of ``/readyz`` of a bridge that is not ready."""
    try:
        answer = ask(port, b"GET /readyz HTTP/1.1\r\n\r\n")
    except OSError:
        return []
    return answer.body.decode().splitlines() if answer.code == 503 else []


def is_blocked_only(port: int) -> bool:
    reasons = unready_reasons(port)
    return len(reasons) == 1 and reasons[0].startswith("the log has accepted nothing for ")


def test_a_blocked_log_stops_nothing_else(
    settings: dict[str, str], jobs: JobWriter, kafka: Kafka, topic: str, full_pipe: int
) -> None:
    """The bridge delivers, is not ready for this reason alone, and SIGTERM ends it with 0."""
    port = free_port()
    given = environment({**settings, "log.level": "debug", "http.port": str(port)})
    with subprocess.Popen([*PROGRAM, "run"], cwd=ROOT, env=given, stderr=full_pipe) as process:
        try:
            poll(lambda: is_blocked_only(port), "the log as the only reason", 60)
            job_id = jobs.add_good()
            poll(
                lambda: published_states(kafka, topic, job_id) == list(GOOD),
                "the transitions in the topic",
                60,
            )
            process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()

            assert process.wait(60) == 0
            assert time.monotonic() - stopped < 30
        finally:
            process.kill()


def test_a_start_names_the_silent_server(tmp_path: Path) -> None:
    """Within two seconds, in the log and in ``/readyz``, and without the password."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        side = f"MongoDB at 127.0.0.1:{port} (mongo.uri)"
        given = {
            "mongo.uri": f"mongodb://user:{SECRET}@127.0.0.1:{port}/?authSource=admin",
            "kafka.bootstrap_servers": f"127.0.0.1:{free_port()}",
            "kafka.topic": "jobs",
        }
        with BridgeProcess(given, tmp_path / "bridge.log") as bridge:
            bridge.wait_unready(f"starting: waiting for {side}")
            bridge.wait_for_line(f"starting: waiting for {side}")

            assert bridge.stop() == 0
            assert bridge.messages()[-1] == "stopped: clean"


def test_a_frozen_mongodb_does_not_delay_a_stop(
    start: MakeBridge, jobs: JobWriter, mongo: MongoDeployment
) -> None:
    """The last line says that the position is not stored."""
    with TcpProxy(mongo.ports[0]) as proxy:
        uri = f"mongodb://{proxy.address}/?directConnection=true"
        bridge = start(mongo__uri=uri, checkpoint__interval_seconds="60").start().wait_ready()
        jobs.add_good()
        bridge.wait_acked(len(GOOD))
        proxy.silence()

        assert bridge.stop(40) == 75

    assert any("stopping: waits for MongoDB at" in line for line in bridge.messages())
    assert bridge.messages()[-1] == "stopped: position not stored"


def test_a_silent_store_does_not_delay_a_stop(mongo: MongoDeployment, tmp_path: Path) -> None:
    """A bridge becomes the owner of a checkpoint in Kafka by several requests of 15 s."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given = {
            "mongo.uri": mongo.uri,
            "kafka.bootstrap_servers": f"127.0.0.1:{silent.getsockname()[1]}",
            "kafka.topic": "jobs",
            "checkpoint.store": "kafka",
        }
        with BridgeProcess(given, tmp_path / "bridge.log") as bridge:
            bridge.wait_unready("starting: waiting for Kafka at")
            started = time.monotonic()

            assert bridge.stop() == 0

    assert time.monotonic() - started < 5
