"""A process: its HTTP server, its stop and its exit code, without a server to connect to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from bridge.app.lifecycle import State
from bridge.app.process import Process
from bridge.demo.servers.process import free_port, poll
from bridge.errors import Misconfigured
from bridge.observability.snapshot import Snapshot
from tests.support.factories import settings


def process(port: int, *, host: str = "127.0.0.1", until_now: bool = False) -> Process:
    """Return a process whose MongoDB does not exist."""
    uri = f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0"
    chosen = settings(http__host=host, http__port=port, mongo__uri=uri, kafka__topic="jobs")
    return Process(chosen, until_now=until_now)


def get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_process_serves_while_it_starts() -> None:
    """It is alive, not ready, and its metrics list every state; a stop ends it with 0."""
    port = free_port()
    started = process(port)
    url = f"http://127.0.0.1:{port}"
    pages: dict[str, tuple[int, str]] = {}

    def look_and_stop() -> None:
        try:
            poll(lambda: _is_served(f"{url}/livez"), "the HTTP server", 20)
            for path in ("livez", "readyz", "metrics"):
                pages[path] = get(f"{url}/{path}")
        finally:
            started.bridge.request_stop()

    looking = threading.Thread(target=look_and_stop)
    looking.start()
    exit_code = started.run()
    looking.join()

    assert exit_code == 0
    assert pages["livez"] == (200, "alive\n")
    assert pages["readyz"][0] == 503
    for state in State:
        assert f'job_bridge_state{{state="{state}"}}' in pages["metrics"][1]
    assert started.bridge.state is State.STOPPED


def _is_served(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False


def test_a_process_stopped_before_its_start_ends() -> None:
    stopped = process(0)
    stopped.bridge.request_stop()

    assert stopped.run() == 0


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port on which another process serves."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_address_in_use_is_refused(used_port: int) -> None:
    with pytest.raises(Misconfigured, match=f"127.0.0.1:{used_port}: Address already in use"):
        process(used_port).run()


def test_until_now_runs_without_its_address(
    used_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The bridge with the same settings may run, and the ownership decides."""
    started = process(used_port, until_now=True)
    started.bridge.request_stop()

    with caplog.at_level("INFO", "bridge"):
        assert started.run() == 0

    assert f"127.0.0.1:{used_port}: Address already in use" in caplog.text
    assert "this run has no status page" in caplog.text


def test_until_now_refuses_a_wrong_address() -> None:
    with pytest.raises(Misconfigured, match=r"Cannot serve HTTP on 192\.0\.2\.1"):
        process(0, host="192.0.2.1", until_now=True).run()


def test_the_snapshot_describes_the_process(caplog: pytest.LogCaptureFixture) -> None:
    started = process(0)
    started.bridge.request_stop()

    snapshot: Snapshot = started.status.snapshot()
    with caplog.at_level("INFO", "bridge"):
        started.run()

    assert snapshot.about["topic"] == "jobs"
    assert snapshot.about["mode"] == "at-least-once"
    assert snapshot.state == State.STARTING
    assert "status at http://127.0.0.1:" in caplog.text
