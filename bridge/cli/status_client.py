"""Reads the pages of a running bridge, with the TLS and the password of the settings."""

import http.client
import json
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Set
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.settings.hidden import hidden
from bridge.settings.http import HttpSettings

_TIMEOUT_SECONDS = 5.0
#: A bridge sends a comment after 15 seconds without a transition.
_EVENT_SECONDS = 45.0
#: Another program, or none, answers there.
_FAILURES = (OSError, ValueError, http.client.HTTPException)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)


class EventStream:
    """The events of ``/events``, as the bridge sends them."""

    def __init__(self, sock: socket.socket, response: http.client.HTTPResponse, url: str) -> None:
        self._socket = sock
        self._response = response
        self._url = url
        self._ended = False

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return the kind and the data of each event, until :meth:`end`.

        Raises:
            Retryable: The bridge has ended, or ended this connection.
        """
        cause: Exception = ValueError("the bridge ended the connection")
        kind = ""
        try:
            for line in self._response:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)
        except _FAILURES as error:
            cause = error
        if not self._ended:
            raise _no_answer(self._url, cause)

    def end(self) -> None:
        """End the iteration; may be called on any thread."""
        self._ended = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def read_status(settings: HttpSettings, keys: Set[str] = frozenset()) -> dict[str, Any]:
    """Return ``/status.json`` of the bridge at ``http.host`` and ``http.port``.

    The environment's proxy is not used: it is for other hosts.

    Args:
        settings: Address, certificate and account.
        keys: The least that the document of a bridge contains.

    Raises:
        Retryable: No bridge answers there.
        NotPermitted: The bridge refuses the user or the password.
        Misconfigured: ``http.certfile`` cannot be read.
    """
    url = f"{settings.url(settings.port)}/status.json"
    connection = _connection(settings)
    try:
        document = json.loads(_response(connection, settings, url).read())
        if not (isinstance(document, dict) and document.keys() >= keys):
            raise ValueError("another program answers there")
    except _FAILURES as error:
        raise _no_answer(url, error) from None
    finally:
        connection.close()
    return document


@contextmanager
def open_events(settings: HttpSettings) -> Iterator[EventStream]:
    """Open ``/events`` of the bridge; raises as :func:`read_status`."""
    url = f"{settings.url(settings.port)}/events"
    connection = _connection(settings)
    try:
        connection.connect()
        sock = connection.sock
        response = _response(connection, settings, url)
        sock.settimeout(_EVENT_SECONDS)
        if not response.getheader("Content-Type", "").startswith("text/event-stream"):
            raise ValueError("another program answers there")
    except _FAILURES as error:
        connection.close()
        raise _no_answer(url, error) from None
    with closing(connection), response:
        yield EventStream(sock, response, url)


def _response(
    connection: http.client.HTTPConnection, settings: HttpSettings, url: str
) -> http.client.HTTPResponse:
    connection.request("GET", urlsplit(url).path, headers=_authorization(settings))
    response = connection.getresponse()
    if response.status == http.client.UNAUTHORIZED:
        raise NotPermitted(
            f"The bridge at {settings.url(settings.port)} refuses the user or the password",
            "This does not mean that data was lost",
            "Set http.username and http.password as in the settings of the bridge",
        )
    if response.status != http.client.OK:
        raise ValueError(f"HTTP {response.status}")
    return response


def _no_answer(url: str, error: Exception) -> Retryable:
    return Retryable(
        f"No bridge answers at {url}: {hidden(str(error))}",
        "This does not mean that data was lost",
        "Check that the bridge runs, and check http.host and http.port",
    )


class _PinnedConnection(http.client.HTTPSConnection):
    """A connection to the server that has exactly the certificate of a file.

    No authority and no name is needed.
    """

    def __init__(self, address: tuple[str, int], certificate: bytes) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(*address, timeout=_TIMEOUT_SECONDS, context=context)
        self._expected = certificate

    def connect(self) -> None:
        """Connect; raises ``ValueError`` for another certificate."""
        super().connect()
        if self.sock.getpeercert(binary_form=True) != self._expected:
            self.close()
            raise ValueError("the certificate there is not that of http.certfile")


def _connection(settings: HttpSettings) -> http.client.HTTPConnection:
    """Return a connection that is not open yet."""
    address = (settings.host, settings.port)
    if not settings.certfile:
        return http.client.HTTPConnection(*address, timeout=_TIMEOUT_SECONDS)
    return _PinnedConnection(address, _certificate(settings.certfile))


def _certificate(certfile: str) -> bytes:
    """Return the first certificate of a file, which is the server's own."""
    try:
        return ssl.PEM_cert_to_DER_cert(_PEM.findall(Path(certfile).read_text())[0])
    except (OSError, ValueError, IndexError):
        raise Misconfigured(
            f"http.certfile: cannot read a certificate from {certfile}",
            "This does not mean that data was lost",
            "Name the file that the bridge uses",
        ) from None


def _authorization(settings: HttpSettings) -> dict[str, str]:
    if not settings.username:
        return {}
    credentials = f"{settings.username}:{settings.password.get_secret_value()}"
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
