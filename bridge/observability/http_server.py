"""The HTTP server: a request gets an answer soon, however many other connections are open."""

import asyncio
import errno
import logging
import resource
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry

from bridge.daemon_executor import DaemonExecutor
from bridge.errors import Misconfigured
from bridge.observability.http_pages import PROBES, Pages
from bridge.observability.http_request import BadRequest, Request, Response, is_complete, parse
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
_CLOSE_TURNS = 10
_BACKLOG = 1024
#: An address of the host that this machine does not have, as ::1 without IPv6.
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def cannot_serve(host: str, port: int, error: Exception) -> Misconfigured:
    """Return the error for an address on which the server cannot listen."""
    reason = getattr(error, "strerror", None) or str(error)
    return Misconfigured(
        f"Cannot serve HTTP on {host}:{port}: {reason}",
        "Nothing was read or sent",
        "Set http.port or http.host, or stop the process that holds the port",
    )


class HttpServer:
    """Serves on a thread of its own, from entering to leaving.

    - A connection is closed after one response, or when its request does not arrive in time.
    - Probes are answered at once; pages that take longer wait for each other on another thread.
    """

    def __init__(
        self, host: str, port: int, status: Status, *, registry: CollectorRegistry
    ) -> None:
        self._pages = Pages(status, registry)
        try:
            self._sockets = _listen(host, port)
        except (OSError, ValueError) as error:
            raise cannot_serve(host, port, error) from None
        self.port = int(self._sockets[0].getsockname()[1])
        self._slow_pages = DaemonExecutor("http-pages")
        self._max_connections = _max_connections()
        #: The open connections, the oldest first.
        self._connections: dict[asyncio.StreamWriter, None] = {}
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
        self._thread.join(2)
        self._slow_pages.shutdown(wait=False)

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        servers = [
            await asyncio.start_server(self._connected, sock=listening, backlog=_BACKLOG)
            for listening in self._sockets
        ]
        await self._closing.wait()
        for server in servers:
            server.close()
        await self._end_connections()

    async def _end_connections(self) -> None:
        """Let the tasks of the connections end; those that wait for a page are cancelled later."""
        for _ in range(_CLOSE_TURNS):
            for writer in self._connections:
                writer.transport.abort()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            if not tasks:
                return
            await asyncio.wait(tasks, timeout=0.1)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self._max_connections:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.transport.abort()
        self._connections[writer] = None
        try:
            # The client may close the connection, or send and read too slowly.
            with suppress(OSError, TimeoutError):
                await self._converse(reader, writer)
        finally:
            self._connections.pop(writer, None)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head_only = False
        try:
            request = parse(await _head(reader))
            head_only = request.method == "HEAD"
            response = await self._answer(request)
        except BadRequest as bad:
            response = Response.of_status(bad.status)
        async with asyncio.timeout(ARRIVAL_SECONDS):
            writer.write(response.encoded(head_only=head_only))
            await writer.drain()
            writer.write_eof()
        # To close a connection with unread data would reset it, and discard the response.
        async with asyncio.timeout(_LINGER_SECONDS):
            while await reader.read(_READ_BYTES):
                pass

    async def _answer(self, request: Request) -> Response:
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


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Read the head of a request.

    Raises:
        BadRequest: It is incomplete or too long.
        ConnectionError: Nothing arrived.
    """
    head = b""
    try:
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while not is_complete(head):
                part = await reader.read(_READ_BYTES)
                if not part:
                    break
                head += part
    except TimeoutError:
        if head:
            raise BadRequest(HTTPStatus.REQUEST_TIMEOUT) from None
    if not head:
        raise ConnectionError("no request arrived")
    return head


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
            sockets.append(socket.create_server(bound, family=family, backlog=_BACKLOG))
        except OSError as error:
            failure = error
            if error.errno not in _NO_SUCH_ADDRESS:
                break
    if failure and (not sockets or failure.errno not in _NO_SUCH_ADDRESS):
        for listening in sockets:
            listening.close()
        raise failure
    return sockets


def _max_connections() -> int:
    """Return the limit: half of the descriptors remain for MongoDB and Kafka."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MAX_CONNECTIONS, soft // 2)
