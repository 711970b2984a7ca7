"""The HTTP server: ``/metrics``, ``/livez``, ``/readyz``, ``/status.json``; it only reads."""

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry, make_wsgi_app
from waitress.server import create_server

from bridge.errors import Misconfigured
from bridge.observability.status import HANG_SECONDS, Status

_StartResponse = Callable[[str, list[tuple[str, str]]], Any]
_Environment = dict[str, Any]

_OK = "200 OK"
_UNAVAILABLE = "503 Service Unavailable"
_TEXT = "text/plain"
_HANGS = f"the main loop has not run for {HANG_SECONDS:.0f} seconds\n".encode()


def application(
    status: Status, registry: CollectorRegistry
) -> Callable[[_Environment, _StartResponse], Iterable[bytes]]:
    """Return the WSGI application."""
    metrics = make_wsgi_app(registry)

    def serve(environment: _Environment, start_response: _StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "/")
        if path == "/metrics":
            body: Iterable[bytes] = metrics(environment, start_response)
            return body
        code, kind, text = _page(path, status)
        headers = [
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(text))),
        ]
        start_response(code, headers)
        return [text]

    return serve


def _page(path: str, status: Status) -> tuple[str, str, bytes]:
    match path:
        case "/livez":
            alive = status.snapshot().alive
            return (_OK, _TEXT, b"alive\n") if alive else (_UNAVAILABLE, _TEXT, _HANGS)
        case "/readyz":
            snapshot = status.snapshot()
            return _OK if snapshot.ready else _UNAVAILABLE, _TEXT, snapshot.readiness().encode()
        case "/status.json":
            document = status.snapshot().document()
            return _OK, "application/json", json.dumps(document, indent=1).encode() + b"\n"
    return "404 Not Found", _TEXT, b"/metrics /livez /readyz /status.json\n"


def cannot_serve(host: str, port: int, error: Exception) -> Misconfigured:
    """Return the error for an address on which the server cannot listen."""
    reason = getattr(error, "strerror", None) or str(error)
    return Misconfigured(
        f"Cannot serve HTTP on {host}:{port}: {reason}",
        "Nothing was read or sent",
        "Set http.port or http.host, or stop the process that holds the port",
    )


class HttpServer:
    """Serves on a thread of its own, from entering to leaving."""

    def __init__(
        self, host: str, port: int, status: Status, *, registry: CollectorRegistry
    ) -> None:
        try:
            self._server = create_server(
                application(status, registry),
                host=host,
                port=port,
                threads=4,
                ident="job-bridge",
                channel_timeout=30,
                connection_limit=100,
                max_request_body_size=1024,
            )
        except (OSError, ValueError) as error:
            raise cannot_serve(host, port, error) from None
        # A host with two addresses, such as localhost, has a list of sockets.
        sockets = getattr(self._server, "effective_listen", None)
        self.port = int(sockets[0][1] if sockets else self._server.effective_port)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self._thread.join(2)

    def _run(self) -> None:
        # The server stops when its sockets are closed under its own select.
        with suppress(OSError):
            self._server.run()
