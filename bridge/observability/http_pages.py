"""The pages: ``/``, ``/metrics``, ``/livez``, ``/readyz`` and JSON; they only read.

``/readyz`` answers 503 for a standby; ``/readyz?standby=ok`` answers 200 for a standby that could
take over, so that a rolling update does not wait for the owner to leave.
"""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry, make_wsgi_app

from bridge.clock import Clock, SystemClock
from bridge.observability.history import History
from bridge.observability.http_events import event_response
from bridge.observability.http_request import Request, Response
from bridge.observability.public import public_document, public_readiness
from bridge.observability.start_page import FILES, json_response, page_file, start_page
from bridge.observability.status import HANG_SECONDS, Status

#: Answered without waiting for anything, whatever the other pages do.
PROBES = frozenset({"/livez", "/readyz"})
_OTHERS = frozenset({"/", "/metrics", "/status.json", "/history.json", "/events", *FILES})
_METHODS = ("GET", "HEAD")
_HANGS = f"the main loop has not run for {HANG_SECONDS:.0f} seconds\n".encode()
_PATHS = b"/ /metrics /livez /readyz /status.json /history.json /events\n"


class Pages:
    """Answers requests from a snapshot of the bridge."""

    def __init__(
        self, status: Status, registry: CollectorRegistry, clock: Clock | None = None
    ) -> None:
        self._status = status
        self._metrics = make_wsgi_app(registry)
        self._clock = clock or SystemClock()
        self._history = History()

    def sample(self) -> None:
        """Add a sample to the history when it is due; call it often, on a single thread."""
        moment = self._clock.monotonic()
        if self._history.is_due(moment):
            self._history.add(self._status.snapshot(), time=self._clock.now(), moment=moment)

    def answer(self, request: Request) -> Response:
        """Return the response to a request."""
        if request.path not in PROBES | _OTHERS:
            return Response(HTTPStatus.NOT_FOUND, _PATHS)
        if request.method not in _METHODS:
            allow = ("Allow", ", ".join(_METHODS))
            return Response.of_status(HTTPStatus.METHOD_NOT_ALLOWED, allow)
        match request.path:
            case "/livez":
                return self._livez()
            case "/readyz":
                return self._readyz(request)
            case "/status.json":
                return self._status_json(request)
            case "/history.json":
                return json_response(self._history.document(self._clock.now()))
            case "/events":
                return event_response(request)
            case "/":
                return start_page(request.accept, self._clock.now())
            case path if path in FILES:
                return page_file(path)
        return self._metrics_page(request)

    def _livez(self) -> Response:
        if self._status.snapshot().alive:
            return Response(HTTPStatus.OK, b"alive\n")
        return Response(HTTPStatus.SERVICE_UNAVAILABLE, _HANGS)

    def _readyz(self, request: Request) -> Response:
        snapshot = self._status.snapshot()
        admits_standby = parse_qs(request.query).get("standby") == ["ok"]
        well = snapshot.ready or (admits_standby and snapshot.standby_works)
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        text = snapshot.readiness()
        return Response(status, (text if request.details else public_readiness(text)).encode())

    def _status_json(self, request: Request) -> Response:
        document = self._status.snapshot().document()
        if not request.details:
            document = public_document(document)
        body = json.dumps(document, indent=1).encode() + b"\n"
        return Response(HTTPStatus.OK, body, (("Content-Type", "application/json; charset=utf-8"),))

    def _metrics_page(self, request: Request) -> Response:
        try:
            return self._negotiated(request, request.accept)
        except (TypeError, ValueError):
            # prometheus_client cannot read every version that a client may accept; a server may
            # answer in its default format then (RFC 9110, 12.5.1).
            return self._negotiated(request, "")

    def _negotiated(self, request: Request, accept: str) -> Response:
        environment = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "HTTP_ACCEPT": accept,
            "HTTP_ACCEPT_ENCODING": request.accept_encoding,
        }
        headers: list[tuple[str, str]] = []

        def start_response(_status: str, fields: list[tuple[str, str]]) -> Any:
            headers.extend(fields)

        body = b"".join(self._metrics(environment, start_response))
        return Response(HTTPStatus.OK, body, tuple(headers))
