"""``/``: the status page for browsers, and JSON about the service for all other clients."""

import json
from datetime import datetime, timezone
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from bridge import __version__
from bridge.observability.build import git_commit
from bridge.observability.http_request import Headers, Response

#: The files of the page, and their types.
FILES = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/verdict.js": "text/javascript; charset=utf-8",
}
_HTML, _JSON = "text/html", "application/json"
#: Only files of this server; no inline script, no frame, no form.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECURITY: Headers = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


def start_page(accept: str, now: float) -> Response:
    """Return the page if ``accept`` asks for HTML, else the service as JSON.

    Args:
        accept: The value of the Accept header (RFC 9110, 12.5.1).
        now: The server's time, in Unix seconds.
    """
    vary = ("Vary", "Accept")
    if _weight(accept, _HTML) > _weight(accept, _JSON):
        fields = (("Content-Type", f"{_HTML}; charset=utf-8"), vary, *_SECURITY)
        return Response(HTTPStatus.OK, _file("index.html"), fields)
    return json_response(_service(now), vary)


def page_file(path: str) -> Response:
    """Return a file of the page, a path in :data:`FILES`."""
    fields = (("Content-Type", FILES[path]), *_SECURITY)
    return Response(HTTPStatus.OK, _file(path.removeprefix("/")), fields)


def json_response(document: dict[str, Any], *fields: tuple[str, str]) -> Response:
    """Return a document as JSON."""
    body = json.dumps(document, indent=1).encode() + b"\n"
    content_type = ("Content-Type", f"{_JSON}; charset=utf-8")
    return Response(HTTPStatus.OK, body, (content_type, *fields, ("Cache-Control", "no-store")))


def _service(now: float) -> dict[str, Any]:
    """Return the fields that KBase's health checks read."""
    return {
        "service_name": "job-bridge",
        "version": __version__,
        "git_hash": git_commit(),
        "server_time": datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds"),
    }


@cache
def _file(name: str) -> bytes:
    return (files("bridge.observability") / "page" / name).read_bytes()


def _weight(accept: str, media_type: str) -> float:
    """Return the weight that ``accept`` gives to a type by its name; 0 without it."""
    for part in accept.lower().split(","):
        name, *parameters = (text.strip() for text in part.split(";"))
        if name == media_type:
            weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
            try:
                return float(weight)
            except ValueError:
                return 0.0
    return 0.0
