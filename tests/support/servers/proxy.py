"""A TCP proxy between a client and a server, with the faults of a network."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

CHUNK = 65536
JOIN_SECONDS = 5
#: Closing with this option sends RST instead of FIN.
ABORT = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Counts:
    """Counts the faults, so that a test can assert that they happened."""

    accepted: int = 0
    refused: int = 0  # accepted by the kernel and reset at once
    reset: int = 0  # connections broken by ``reset``
    held: int = 0  # chunks that waited for the end of a silence, or of withheld answers
    forwarded_bytes: int = 0


class TcpProxy:
    """Passes bytes to ``target_port`` of 127.0.0.1; ``port`` is its own, 0 for any free port.

    It listens and passes bytes from the start. Bytes held during a silence are passed on in order
    when it ends, as in a network that stalls without losing its connections.
    """

    def __init__(self, target_port: int, *, port: int = 0) -> None:
        self.target_port = target_port
        self.counts = Counts()
        self._flowing = threading.Event()
        self._flowing.set()
        #: Set while answers pass; a silence stops both directions.
        self._answering = threading.Event()
        self._answering.set()
        self._refusing = False
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def silence(self) -> None:
        """Keep and accept connections without forwarding anything."""
        self._flowing.clear()

    def withhold_answers(self) -> None:
        """Forward requests, but nothing that the server sends."""
        self._answering.clear()

    def refuse(self) -> None:
        """Reset every new connection; existing ones continue."""
        self._refusing = True

    def pass_through(self) -> None:
        """End silence, refusal and the withholding of answers."""
        self._refusing = False
        self._answering.set()
        self._flowing.set()

    def reset(self) -> None:
        """Break every existing connection, on both sides."""
        for pair in self._take_pairs():
            self.counts.reset += 1
            for connection in pair:
                _abort(connection)

    def close(self) -> None:
        """Close all connections and free the port."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._take_pairs():
            for connection in pair:
                _abort(connection)
        self._flowing.set()
        self._answering.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                self.counts.refused += 1
                _abort(client)
                continue
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), timeout=JOIN_SECONDS)
        except OSError:
            self.counts.refused += 1
            _abort(client)
            return
        server.settimeout(None)
        self.counts.accepted += 1
        with self._lock:
            self._pairs.add((client, server))
        self._begin(self._pump, client, server, (self._flowing,), (client, server))
        gates = (self._flowing, self._answering)
        self._begin(self._pump, server, client, gates, (client, server))

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        gates: tuple[threading.Event, ...],
        pair: tuple[socket.socket, socket.socket],
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                if not all(gate.is_set() for gate in gates):
                    self.counts.held += 1
                    for gate in gates:
                        gate.wait()
                sink.sendall(chunk)
                self.counts.forwarded_bytes += len(chunk)
        with self._lock:
            self._pairs.discard(pair)
        for connection in pair:
            _end(connection)

    def _take_pairs(self) -> list[tuple[socket.socket, socket.socket]]:
        with self._lock:
            taken = list(self._pairs)
            self._pairs.clear()
        return taken

    def _begin(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name="tcp-proxy", daemon=True)
        self._threads.append(thread)
        thread.start()


def _abort(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    _end(connection)


def _end(connection: socket.socket) -> None:
    # A thread blocked in recv does not notice a close; it does notice a shutdown.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
