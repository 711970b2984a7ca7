"""The HTTP server: it answers as HTTP says, and soon, whatever others do."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bridge.observability import http_server
from bridge.observability.certificates import Certificates
from bridge.observability.http_request import MAX_HEAD_BYTES
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import registry
from bridge.observability.snapshot import Snapshot
from bridge.observability.status import LatestVerification, Status
from tests.support.factories import settings
from tests.support.fakes import FakeClock
from tests.support.http_crowd import Answer, Crowd, ask
from tests.support.observed_bridge import FixedHealth, ObservedBridge, status_of

#: 1 000 slow and idle connections.
CROWD = 1000
SCRAPERS = 8
PROBES = 50


class BrokenStatus(Status):
    """Cannot take a snapshot for a scrape."""

    def __init__(self) -> None:
        clock = FakeClock()
        super().__init__(
            ObservedBridge(last_beat=clock.monotonic()),
            FixedHealth(),
            clock,
            about={},
            verification=LatestVerification(),
        )

    def snapshot(self) -> Snapshot:
        if threading.current_thread().name.startswith("http-pages"):
            self.fail()
        return super().snapshot()

    def fail(self) -> None:
        raise KeyError("secret")


class HangingStatus(BrokenStatus):
    """Takes no snapshot for a scrape until ``over``."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self._over = over

    def fail(self) -> None:
        self._over.wait(60)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Raise the limit: the crowd has two descriptors for each connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4 * CROWD
    if soft < needed:
        if hard < needed:
            pytest.skip(f"the limit of descriptors is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def status() -> Status:
    clock = FakeClock()
    return status_of(ObservedBridge(last_beat=clock.monotonic()), clock)


def serve(status: Status) -> HttpServer:
    own = registry(status, ["running"], Certificates(settings()))
    return HttpServer("127.0.0.1", 0, status, registry=own)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with serve(status()) as server:
        yield server


def exchange(server: HttpServer, request: bytes) -> Answer:
    return ask(server.port, request)


@pytest.mark.usefixtures("many_descriptors")
def test_the_probes_answer_in_a_crowd() -> None:
    """1 000 connections are slow or idle, and 8 scrapers read the metrics."""
    with serve(status()) as server, Crowd(server.port, CROWD, SCRAPERS) as crowd:
        for _ in range(PROBES):
            answer = ask(server.port, b"GET /livez HTTP/1.1\r\nHost: bridge\r\n\r\n")
            assert (answer.code, answer.body) == (200, b"alive\n")
            assert answer.seconds < 1

        crowd.wait_for_scrapes(SCRAPERS)
        assert crowd.opened == CROWD


def test_a_crowd_beyond_the_limit_loses_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of descriptors is limited, and MongoDB and Kafka need some of them."""
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 100)
    with serve(status()) as server, Crowd(server.port, 250, 0) as crowd:
        assert ask(server.port, b"GET /livez HTTP/1.1\r\n\r\n").code == 200

        assert crowd.wait_for_closed(150) >= 150


def test_a_slow_request_is_refused(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte from time to time does not extend the time that a request has."""
    monkeypatch.setattr(http_server, "ARRIVAL_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.settimeout(0.05)
        text = b""
        while not text:
            client.send(b"G")
            try:
                text = client.recv(4096)
            except TimeoutError:
                continue

    assert text.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "ARRIVAL_SECONDS", 0.05)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as client,
        suppress(ConnectionResetError),
    ):
        assert client.recv(4096) == b""


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/status.json", "/metrics", "/else"])
def test_head_has_no_body(server: HttpServer, path: str) -> None:
    """It has the status, the type and the length of GET."""
    get = exchange(server, f"GET {path} HTTP/1.1\r\n\r\n".encode())
    head = exchange(server, f"HEAD {path} HTTP/1.1\r\n\r\n".encode())

    assert head.code == get.code
    assert head.body == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    assert int(get.headers["content-length"]) == len(get.body) > 0
    assert abs(int(head.headers["content-length"]) - len(get.body)) < 100


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain; version=abc",
        "text/plain; version=",
        "text/plain;version=0.0.4",
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=1.0.0; escaping=nothing",
        "text/plain; version=1.0.0; escaping=x;;;q=",
        "*/*;q=abc",
        "image/png",
        ",;,=",
        "\xff\xfe",
    ],
)
def test_odd_accept_headers_get_metrics(server: HttpServer, accept: str) -> None:
    request = f"GET /metrics HTTP/1.1\r\nAccept: {accept}\r\n\r\n"

    answer = exchange(server, request.encode("latin-1"))

    assert answer.code == 200
    assert b"job_bridge_ready 1.0\n" in answer.body


def test_open_metrics_are_negotiated(server: HttpServer) -> None:
    accept = b"application/openmetrics-text; version=1.0.0"

    answer = exchange(server, b"GET /metrics HTTP/1.1\r\nAccept: " + accept + b"\r\n\r\n")

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


def test_metrics_are_compressed_on_request(server: HttpServer) -> None:
    answer = exchange(server, b"GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n")

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.body.startswith(b"\x1f\x8b")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO"])
@pytest.mark.parametrize("path", ["/metrics", "/livez"])
def test_other_methods_are_not_allowed(server: HttpServer, method: str, path: str) -> None:
    request = f"{method} {path} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"

    answer = exchange(server, request.encode())

    assert (answer.code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("request_line", "code"),
    [
        ("GET /livez?verbose=1 HTTP/1.1", 200),
        ("GET http://bridge:9595/livez HTTP/1.1", 200),
        ("GET /live%7A HTTP/1.0", 200),
        ("GET /metrics/ HTTP/1.1", 200),
        ("GET /livez/../metrics HTTP/1.1", 404),
        ("GET /%ff%00 HTTP/1.1", 404),
        ("POST /else HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("GET http://[bridge/livez HTTP/1.1", 400),
        ("GET /livez HTTP/abc", 400),
        ("GET /livez FTP/1.1", 400),
        ("GET", 400),
        ("\x16\x03\x01\x02", 400),
        ("GET /livez HTTP/2.0", 505),
        (f"GET /{'x' * MAX_HEAD_BYTES} HTTP/1.1", 414),
        (f"GET /livez HTTP/1.1\r\nCookie: {'x' * MAX_HEAD_BYTES}", 431),
        ("GET /livez HTTP/1.1" + "\r\nX-A: b" * 101, 431),
        ("GET /livez HTTP/1.1\r\nExpect: 100-continue", 200),
    ],
)
def test_a_request_gets_its_status(server: HttpServer, request_line: str, code: int) -> None:
    answer = exchange(server, f"{request_line}\r\n\r\n".encode("latin-1"))

    assert answer.code == code
    assert b"Traceback" not in answer.body


def test_a_large_request_gets_its_answer(server: HttpServer) -> None:
    """A connection closed with unread data would be reset, and the answer lost."""
    answer = exchange(server, b"POST /metrics HTTP/1.1\r\n\r\n" + b"x" * 1_000_000)

    assert answer.code == 405


def test_a_failed_page_shows_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with serve(BrokenStatus()) as server:
        answer = exchange(server, b"GET /metrics HTTP/1.1\r\n\r\n")
        probe = exchange(server, b"GET /livez HTTP/1.1\r\n\r\n")

    assert (answer.code, answer.body) == (500, b"internal server error\n")
    assert "the page /metrics failed" in caplog.text
    assert probe.code == 200


def test_a_page_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes do not wait for it."""
    monkeypatch.setattr(http_server, "PAGE_SECONDS", 0.2)
    over = threading.Event()
    with serve(HangingStatus(over)) as server:
        assert exchange(server, b"GET /status.json HTTP/1.1\r\n\r\n").code == 503
        assert exchange(server, b"GET /livez HTTP/1.1\r\n\r\n").code == 200
        over.set()
