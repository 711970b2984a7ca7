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
from bridge.observability.status import Status

_StartResponse = Callable[[str, list[tuple[str, str]]], Any]
_Environment = dict[str, Any]


def application(
    status: Status, registry: CollectorRegistry
) -> Callable[[_Environment, _StartResponse], Iterable[bytes]]:
    """The WSGI application."""
    metrics = make_wsgi_app(registry)

    def serve(environment: _Environment, start_response: _StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "/")
        if path == "/metrics":
            body: Iterable[bytes] = metrics(environment, start_response)
            return body
        code, kind, text = _page(path, status)
        start_response(
            code, [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(text)))]
        )
        return [text]

    return serve


def _page(path: str, status: Status) -> tuple[str, str, bytes]:
    if path == "/livez":
        return (
            ("200 OK", "text/plain", b"alive\n")
            if status.alive()
            else ("503 Service Unavailable", "text/plain", b"the loop does not turn\n")
        )
    if path == "/readyz":
        reasons = status.reasons()
        text = "".join(f"{reason}\n" for reason in reasons) or "ready\n"
        return "503 Service Unavailable" if reasons else "200 OK", "text/plain", text.encode()
    if path == "/status.json":
        return (
            "200 OK",
            "application/json",
            json.dumps(status.document(), indent=1).encode() + b"\n",
        )
    return "404 Not Found", "text/plain", b"/metrics /livez /readyz /status.json\n"


def unservable(host: str, port: int, error: Exception) -> Misconfigured:
    """What it means that nobody can listen there."""
    reason = getattr(error, "strerror", None) or str(error)
    return Misconfigured(
        f"Cannot serve HTTP on {host}:{port}: {reason}",
        "Nothing was read or sent",
        "Set http.port or http.host, or stop what holds the port",
    )


class HttpServer:
    """Serves from a thread of its own, from entering to leaving."""

    def __init__(self, host: str, port: int, status: Status, registry: CollectorRegistry) -> None:
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
            raise unservable(host, port, error) from None
        several = getattr(
            self._server, "effective_listen", None
        )  # where the host has two addresses, as localhost
        self.port = int(several[0][1] if several else self._server.effective_port)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

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
        # Closing the sockets under the server's own select is how it is stopped.
        with suppress(OSError):
            self._server.run()
