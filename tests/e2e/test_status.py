"""``status``: the state of a running bridge, and servers that are not a bridge."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from bridge import __version__
from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.mongo import Client


def test_status_tells_how_a_running_bridge_is(
    settings: GivenSettings, start: MakeBridge, jobs: JobWriter, topic: str
) -> None:
    port = str(free_port())
    with start(http__port=port) as bridge:
        bridge.wait_ready()
        jobs.add_good()
        bridge.wait_acked(len(GOOD))

        plain = run_command(
            "status", "--http-port", port, settings={"http_proxy": "http://127.0.0.1:1"}
        )
        as_json = run_command("status", "--json", settings={"http.port": port})

        assert plain.code == as_json.code == 0
        name = settings["checkpoint.name"]
        assert plain.out.splitlines()[0] == f"{name} {__version__}: running, ready"
        assert f"to {topic}" in plain.out and "acked" in plain.out
        document = json.loads(as_json.out)
        assert document["ready"] and document["counters"]["acked"] == len(GOOD)
    ended = run_command("status", settings={"http.port": port})
    assert ended.code == 75
    assert f"No bridge answers at http://127.0.0.1:{port}/status.json: " in ended.error


def test_the_status_of_a_waiting_bridge_is_retry(start: MakeBridge) -> None:
    port = str(free_port())
    with start(http__port=port, mongo__uri="mongodb://127.0.0.1:1/") as bridge:
        bridge.unready_reason("MongoDB refuses connections")

        ended = run_command("status", settings={"http.port": port})

    assert ended.code == 75
    assert "waiting, not ready: " in ended.out and "MongoDB refuses connections" in ended.out


def test_status_of_something_else_is_no_bridge(mongo_port: int) -> None:
    ended = run_command("status", settings={"http.port": str(mongo_port)})

    assert ended.code == 75
    assert "No bridge answers" in ended.error


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    ],
    ids=["no HTTP", "another document", "a list", "cut short"],
)
def test_nor_is_anything_else_that_answers(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        ended = run_command("status", settings={"http.port": str(server.getsockname()[1])})
        thread.join()

    assert ended.code == 75
    assert "No bridge answers" in ended.error


@pytest.fixture
def mongo_port(client: Client) -> int:
    assert client.address
    return client.address[1]
