"""The HTTP server: a request gets an answer soon, however many other connections are open."""

import asyncio
import errno
import logging
import resource
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry

from bridge.daemon_executor import DaemonExecutor
from bridge.errors import AddressInUse, Misconfigured
from bridge.observability.http_events import EventFeed, EventResponse
from bridge.observability.http_pages import PROBES, Pages
from bridge.observability.http_request import BadRequest, Request, Response, is_complete, parse
from bridge.observability.http_security import Guard, ServerCertificate
from bridge.observability.http_tls import DESCRIPTORS, TlsRelay
from bridge.observability.status import Status

logger = logging.getLogger(__name__)

#: How long a request may take to arrive, and a client to read the response.
ARRIVAL_SECONDS = 5.0
#: How long a page may take.
PAGE_SECONDS = 10.0
#: A client that still sends when it gets its response may read it for this long.
_LINGER_SECONDS = 1.0
#: Beyond this number the oldest connection is closed for each new one.
_MAX_CONNECTIONS = 1000
_READ_BYTES = 4096
#: Accepted in one turn of the event loop.
_MAX_ACCEPTS = 20
_LOOK_SECONDS = 0.1
_CLOSE_SECONDS = 2.0
_BACKLOG = 1024
#: An address of the host that this machine does not have, as ::1 without IPv6.
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def cannot_serve(host: str, port: int, error: Exception) -> Misconfigured:
    """Return the error for an address on which the server cannot listen."""
    reason = getattr(error, "strerror", None) or str(error)
    in_use = getattr(error, "errno", None) == errno.EADDRINUSE
    return (AddressInUse if in_use else Misconfigured)(
        f"Cannot serve HTTP on {host}:{port}: {reason}",
        "Nothing was read or sent",
        "Set http.port or http.host, or stop the process that holds the port",
    )


@dataclass(slots=True)
class _Arrival:
    """The head of a request so far, and when it has to be complete, in the loop's seconds."""

    deadline: float
    head: bytes = b""


class HttpServer:
    """Serves on a thread of its own, from entering to leaving.

    - A connection is closed after one response, or when its request does not arrive in time.
    - Probes are answered at once; pages that take longer wait for each other on another thread.
    """

    def __init__(
        self,
        host: str,
        port: int,
        status: Status,
        *,
        registry: CollectorRegistry,
        guard: Guard | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        self._pages = Pages(status, registry)
        self._feed = EventFeed(status.recent)
        self._guard = guard or Guard()
        try:
            self._sockets = _listen(host, port)
        except (OSError, ValueError) as error:
            raise cannot_serve(host, port, error) from None
        self.port = int(self._sockets[0].getsockname()[1])
        self._slow_pages = DaemonExecutor("http-pages")
        self._max_connections = _max_connections(DESCRIPTORS if certificate else 1)
        self._tls = TlsRelay(certificate, self._max_connections) if certificate else None
        #: Connections whose request has not arrived completely, the oldest first.
        self._arriving: dict[socket.socket, _Arrival] = {}
        #: The tasks that answer, the oldest first.
        self._answering: dict[asyncio.Task[None], None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop has ended.
                self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(_CLOSE_SECONDS)
        self._slow_pages.shutdown(wait=False)

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None  # noqa: S101 - for mypy: entering sets it
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(loop))

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        for listening in self._sockets:
            loop.add_reader(listening, self._accept, loop, listening)
        while not self._closing.is_set():
            self._refuse_late(loop)
            self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._closing.wait()
        for listening in self._sockets:
            loop.remove_reader(listening)
            listening.close()
        for client in [*self._arriving]:
            self._take(loop, client)
            client.close()

    def _look(self) -> None:
        """Look at the bridge for the status page and ``/events``; a bug there ends nothing."""
        try:
            self._feed.pump()
            self._pages.sample()
        except Exception:
            logger.exception("a bug in job-bridge: the status page and /events lack values")

    def _accept(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        for _ in range(_MAX_ACCEPTS):
            try:
                client, _address = listening.accept()
                client.setblocking(False)
                if self._tls:
                    client = self._tls.plain_end(loop, client)
            except OSError:  # No other client waits, or it has left, or there is no descriptor.
                return
            if len(self._arriving) + len(self._answering) >= self._max_connections:
                self._drop_oldest(loop)
            self._arriving[client] = _Arrival(loop.time() + ARRIVAL_SECONDS)
            loop.add_reader(client, self._read, loop, client)
            self._read(loop, client)  # Most requests arrive with their connection.

    def _drop_oldest(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._arriving:
            client = next(iter(self._arriving))
            self._take(loop, client)
            client.close()
        else:
            next(iter(self._answering)).cancel()

    def _take(self, loop: asyncio.AbstractEventLoop, client: socket.socket) -> None:
        loop.remove_reader(client)
        del self._arriving[client]

    def _refuse_late(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connections whose request did not arrive in time."""
        now = loop.time()
        for client, arrival in [*self._arriving.items()]:
            if arrival.deadline > now:
                return
            self._take(loop, client)
            if arrival.head:
                self._start(client, BadRequest(HTTPStatus.REQUEST_TIMEOUT))
            else:
                client.close()

    def _read(self, loop: asyncio.AbstractEventLoop, client: socket.socket) -> None:
        try:
            part = client.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            part = b""
        arrival = self._arriving[client]
        arrival.head += part
        try:
            if part and not is_complete(arrival.head):
                return
            request: Request | BadRequest = parse(arrival.head)
        except BadRequest as bad:
            request = bad
        self._take(loop, client)
        if arrival.head:
            self._start(client, request)
        else:
            client.close()

    def _start(self, client: socket.socket, request: Request | BadRequest) -> None:
        task = asyncio.get_running_loop().create_task(self._respond(client, request))
        self._answering[task] = None
        task.add_done_callback(lambda done: self._answering.pop(done, None))

    async def _respond(self, client: socket.socket, request: Request | BadRequest) -> None:
        loop = asyncio.get_running_loop()
        # The client may close the connection, or read too slowly.
        with client, suppress(OSError, TimeoutError):
            response = await self._answer(request)
            head_only = isinstance(request, Request) and request.method == "HEAD"
            if isinstance(response, EventResponse) and not head_only:
                await self._feed.serve(client, response)
                return
            async with asyncio.timeout(ARRIVAL_SECONDS):
                await loop.sock_sendall(client, response.encoded(head_only=head_only))
            client.shutdown(socket.SHUT_WR)
            # To close a connection with unread data would reset it, and discard the response.
            async with asyncio.timeout(_LINGER_SECONDS):
                while await loop.sock_recv(client, _READ_BYTES):
                    pass

    async def _answer(self, request: Request | BadRequest) -> Response:
        if isinstance(request, BadRequest):
            return Response.of_status(request.status)
        admitted = self._guard.admit(request)
        if isinstance(admitted, Response):
            return admitted
        request = admitted
        try:
            if request.path in PROBES:
                return self._pages.answer(request)
            call = self._slow_pages.submit(self._pages.answer, request)
            async with asyncio.timeout(PAGE_SECONDS):
                return await asyncio.wrap_future(call)
        except TimeoutError:
            return Response.of_status(HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception:
            logger.exception("a bug in job-bridge: the page %s failed", request.path)
            return Response.of_status(HTTPStatus.INTERNAL_SERVER_ERROR)


def _listen(host: str, port: int) -> Sequence[socket.socket]:
    """Listen on every address of ``host``. Raises ``OSError`` and ``ValueError``."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(addresses):
        # A host with two addresses, such as localhost, has the same free port on both.
        chosen = sockets[0].getsockname()[1] if sockets else port
        bound = (address[0], chosen, *address[2:])
        try:
            listening = socket.create_server(bound, family=family, backlog=_BACKLOG)
            listening.setblocking(False)
            sockets.append(listening)
        except OSError as error:
            failure = error
            if error.errno not in _NO_SUCH_ADDRESS:
                break
    if failure and (not sockets or failure.errno not in _NO_SUCH_ADDRESS):
        for listening in sockets:
            listening.close()
        raise failure
    return sockets


def _max_connections(descriptors: int) -> int:
    """Return the limit: half of the descriptors remain for MongoDB and Kafka."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return min(_MAX_CONNECTIONS, soft // (2 * descriptors))
