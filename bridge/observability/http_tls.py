"""TLS in front of the HTTP server, which reads and writes plain sockets."""

import asyncio
import socket
from contextlib import suppress

from bridge.observability.http_security import ServerCertificate

#: How long a handshake may take, and a client to read a part of the response.
_PATIENCE_SECONDS = 5.0
_PART_BYTES = 16 * 1024
#: Of a connection: the client's socket and both ends of the pair.
DESCRIPTORS = 3


class TlsRelay:
    """Passes the bytes of TLS connections to and from plain sockets.

    Beyond ``max_connections`` the oldest connection is closed for each new one.
    """

    def __init__(self, certificate: ServerCertificate, max_connections: int) -> None:
        self._certificate = certificate
        self._max_connections = max_connections
        #: The connections, the oldest first.
        self._tasks: dict[asyncio.Task[None], None] = {}

    def plain_end(self, loop: asyncio.AbstractEventLoop, client: socket.socket) -> socket.socket:
        """Return a socket that carries the client's bytes without TLS; never waits.

        It ends when the handshake fails or the client leaves; closing it ends the connection.
        Raises ``OSError`` without descriptors; the client is closed.
        """
        try:
            plain, inner = socket.socketpair()
        except OSError:
            client.close()
            raise
        for end in (plain, inner):
            end.setblocking(False)
        if len(self._tasks) >= self._max_connections:
            next(iter(self._tasks)).cancel()
        task = loop.create_task(self._relay(loop, client, inner))
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return plain

    async def _relay(
        self, loop: asyncio.AbstractEventLoop, client: socket.socket, inner: socket.socket
    ) -> None:
        # The client may leave, speak no TLS, or read too slowly.
        with client, inner, suppress(OSError, TimeoutError):
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                client,
                ssl=self._certificate.context(),
                ssl_handshake_timeout=_PATIENCE_SECONDS,
                ssl_shutdown_timeout=_PATIENCE_SECONDS,
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            upload = loop.create_task(_upload(loop, reader, inner))
            try:
                await _download(loop, inner, writer)
            finally:
                upload.cancel()
                transport.abort()


async def _upload(
    loop: asyncio.AbstractEventLoop, reader: asyncio.StreamReader, inner: socket.socket
) -> None:
    with suppress(OSError):
        while part := await reader.read(_PART_BYTES):
            await loop.sock_sendall(inner, part)
        inner.shutdown(socket.SHUT_WR)


async def _download(
    loop: asyncio.AbstractEventLoop, inner: socket.socket, writer: asyncio.StreamWriter
) -> None:
    """Send the response to its end, and end TLS as the client expects it."""
    while part := await loop.sock_recv(inner, _PART_BYTES):
        writer.write(part)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await writer.drain()
    writer.close()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await writer.wait_closed()
