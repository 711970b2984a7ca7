"""Clients of an HTTP server: good ones, and a crowd of slow and idle ones."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bridge.demo.servers.process import poll

PATIENCE_SECONDS = 20.0
#: A slow client sends a byte this often.
_DRIP_SECONDS = 2.0
_SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: bridge\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """A response, and how long it took from the connection on."""

    code: int
    headers: dict[str, str]
    body: bytes
    seconds: float


def ask(port: int, request: bytes) -> Answer:
    """Send a request on a connection of its own, and read the response to its end."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(request)
        text = b""
        while part := client.recv(65536):
            text += part
    head, _, body = text.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(status.split()[1]), headers, body, time.monotonic() - started)


class Crowd:
    """Connections of which half send a byte from time to time and half nothing, and scrapers.

    A connection that the server closes is opened again.
    """

    def __init__(self, port: int, connections: int, scrapers: int) -> None:
        self.opened = 0
        self.scrapes = 0
        self._closed = 0
        self._port = port
        self._connections = connections
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._linger),
            *(threading.Thread(target=self._scrape) for _ in range(scrapers)),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._ready.wait(PATIENCE_SECONDS), "the crowd could not connect"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_scrapes(self, count: int) -> None:
        """Wait until the scrapers have read the metrics ``count`` times."""
        poll(lambda: self.scrapes >= count, f"{count} scrapes", PATIENCE_SECONDS)

    def wait_for_closed(self, count: int) -> int:
        """Wait until the server has closed ``count`` connections; return how many it closed."""
        poll(lambda: self._closed >= count, f"{count} closed connections", PATIENCE_SECONDS)
        return self._closed

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_SECONDS)

    def _linger(self) -> None:
        selector = selectors.DefaultSelector()
        clients = [self._connect() for _ in range(self._connections)]
        self.opened = len(clients)
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        self._ready.set()
        while not self._stop.is_set():
            self._drip(clients[::2])
            dripped = time.monotonic()
            while not self._stop.is_set() and time.monotonic() - dripped < _DRIP_SECONDS:
                for key, _ in selector.select(0.05):
                    self._reconnect(key.fileobj, clients, selector)  # type: ignore[arg-type]
        selector.close()
        for client in clients:
            client.close()

    @staticmethod
    def _drip(clients: list[socket.socket]) -> None:
        for client in clients:
            try:
                client.send(b"G")
            except OSError:  # It is opened again below.
                continue

    def _reconnect(
        self, client: socket.socket, clients: list[socket.socket], selector: selectors.BaseSelector
    ) -> None:
        selector.unregister(client)
        client.close()
        self._closed += 1
        fresh = self._connect()
        clients[clients.index(client)] = fresh
        selector.register(fresh, selectors.EVENT_READ)

    def _scrape(self) -> None:
        self._ready.wait(PATIENCE_SECONDS)
        while not self._stop.is_set():
            answer = ask(self._port, _SCRAPE)
            assert answer.code in (200, 503)
            self.scrapes += 1
