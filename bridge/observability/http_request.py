"""Parses the head of an HTTP request, and writes that of a response."""

import re
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Self
from urllib.parse import unquote, urlsplit

#: The largest head of a request.
MAX_HEAD_BYTES = 16 * 1024
#: The empty line after a head; a client may end lines with a line feed alone (RFC 9112, 2.2).
_END = re.compile(rb"\r?\n\r?\n")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """A response without the fields that all responses have."""

    status: HTTPStatus
    body: bytes
    headers: Headers = (("Content-Type", "text/plain; charset=utf-8"),)

    @classmethod
    def of_status(cls, status: HTTPStatus, *headers: tuple[str, str]) -> Self:
        """Return a response whose text is the name of its status."""
        text = f"{status.phrase.lower()}\n".encode()
        return cls(status, text, (("Content-Type", "text/plain; charset=utf-8"), *headers))

    def encoded(self, *, head_only: bool) -> bytes:
        """Return the bytes to send; ``head_only`` answers HEAD, which has no body."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Date: {formatdate(usegmt=True)}",
            "Server: job-bridge",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Content-Length: {len(self.body)}",
            "Connection: close",
        ]
        head = "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")
        return head + b"\r\n" + (b"" if head_only else self.body)


class BadRequest(Exception):
    """A request that gets ``status`` as its answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that the pages use.

    Attributes:
        authorization: The credentials; not in ``repr()``.
        last_event_id: The last event that a reader of ``/events`` has.
        details: Whether the reader may see hosts, job ids and tokens.
    """

    method: str
    path: str
    query: str = ""
    accept: str = ""
    accept_encoding: str = ""
    authorization: str = field(default="", repr=False)
    last_event_id: str = ""
    details: bool = False


def is_complete(head: bytes) -> bool:
    """Return whether the head of a request has arrived. Raises ``BadRequest`` when it is long."""
    if _END.search(head[:MAX_HEAD_BYTES]):
        return True
    if len(head) < MAX_HEAD_BYTES:
        return False
    in_first_line = b"\n" not in head[:MAX_HEAD_BYTES]
    raise BadRequest(
        HTTPStatus.REQUEST_URI_TOO_LONG
        if in_first_line
        else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    )


def parse(head: bytes) -> Request:
    """Parse the head of a request. Raises ``BadRequest``."""
    parser = _Parser(head)
    if parser.error is not None or not parser.parsed:
        raise BadRequest(parser.error or HTTPStatus.BAD_REQUEST)
    try:
        target = urlsplit(parser.path)
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST) from None
    return Request(
        parser.command,
        # A slash at the end makes no difference: there are no folders.
        unquote(target.path).rstrip("/") or "/",
        target.query,
        _joined(parser, "Accept"),
        _joined(parser, "Accept-Encoding"),
        _joined(parser, "Authorization"),
        _joined(parser, "Last-Event-ID"),
    )


def _joined(parser: "_Parser", name: str) -> str:
    """Return the values of a header that may occur several times."""
    return ", ".join(parser.headers.get_all(name, []))


class _Parser(BaseHTTPRequestHandler):
    """The parser of the standard library, for a head that has arrived already."""

    def __init__(self, head: bytes) -> None:
        # Not the base's constructor, which reads from a socket and answers.
        self.error: HTTPStatus | None = None
        self.rfile = BytesIO(head.lstrip(b"\r\n"))
        self.raw_requestline = self.rfile.readline()
        self.parsed = self.parse_request()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.error = HTTPStatus(code)

    def handle_expect_100(self) -> bool:
        return True
