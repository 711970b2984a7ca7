"""A process: its HTTP server, its stop and its exit code, without a server to connect to."""

from __future__ import annotations

import threading
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from bridge.app.lifecycle import State
from bridge.app.process import Process
from bridge.demo.servers.process import free_port, poll
from bridge.observability.snapshot import Snapshot
from tests.support.factories import settings


def process(port: int) -> Process:
    """Return a process whose MongoDB does not exist."""
    uri = f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0"
    return Process(settings(http__port=port, mongo__uri=uri, kafka__topic="jobs"))


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
