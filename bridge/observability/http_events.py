"""``/events``: the transitions as server-sent events, from the loop's own memory.

The loop pays for a batch, not for a message or a reader. All work here is on the HTTP thread.
"""

import asyncio
import json
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery
from bridge.observability.http_request import Headers, Response
from bridge.observability.recent import RecentDeliveries

#: The transitions that a new reader gets first.
FIRST_EVENTS = 20
#: The most transitions that one look at the loop's memory hands on; further ones are "missed".
MAX_EVENTS = 500
#: Parts that a reader may be late by before it is dropped.
MAX_PARTS = 50
MAX_READERS = 50
#: How long a reader may take to accept a part.
_SEND_SECONDS = 5.0
#: A comment this often shows that a connection works, and finds readers that have left.
_COMMENT_SECONDS = 15.0
_MAX_TEXT = 1000
_HEADERS: Headers = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    # A proxy that collects parts would delay them.
    ("X-Accel-Buffering", "no"),
)


@dataclass(frozen=True, slots=True)
class EventResponse(Response):
    """The start of a stream; ``details`` is whether its reader may see job ids."""

    details: bool = True


class _Reader(NamedTuple):
    parts: "asyncio.Queue[bytes | None]"
    details: bool


class EventFeed:
    """Hands the newest transitions to every reader; a reader that is too slow is dropped."""

    def __init__(self, recent: RecentDeliveries) -> None:
        self._recent = recent
        self._last: Delivery | None = None
        self._first: deque[Delivery] = deque(maxlen=FIRST_EVENTS)
        self._readers: list[_Reader] = []

    def pump(self) -> None:
        """Hand on the transitions since the last call; never waits."""
        deliveries, missed = self._recent.after(self._last)
        if not deliveries:
            return
        self._last = deliveries[-1]
        self._first.extend(deliveries[-FIRST_EVENTS:])
        if not self._readers:
            return
        missed = missed or len(deliveries) > MAX_EVENTS
        for details in {reader.details for reader in self._readers}:
            part = _MISSED * missed + _part(deliveries[-MAX_EVENTS:], details=details)
            for reader in [reader for reader in self._readers if reader.details == details]:
                self._hand(reader, part)

    async def serve(self, client: socket.socket, response: EventResponse) -> None:
        """Send events until the reader leaves or is too slow. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        if len(self._readers) >= MAX_READERS:
            busy = Response.of_status(HTTPStatus.SERVICE_UNAVAILABLE)
            await loop.sock_sendall(client, busy.encoded(head_only=False))
            return
        reader = _Reader(asyncio.Queue(MAX_PARTS), response.details)
        reader.parts.put_nowait(_head(response) + _part(self._first, details=response.details))
        self._readers.append(reader)
        try:
            while (part := await _next_part(reader)) is not None:
                async with asyncio.timeout(_SEND_SECONDS):
                    await loop.sock_sendall(client, part)
        finally:
            self._readers.remove(reader)

    def _hand(self, reader: _Reader, part: bytes) -> None:
        if reader.parts.full():
            # The end is the next part that the reader gets: it connects again if it wants to.
            while not reader.parts.empty():
                reader.parts.get_nowait()
            part_or_end = None
        else:
            part_or_end = part
        reader.parts.put_nowait(part_or_end)


_MISSED = b"event: missed\ndata: {}\n\n"


def event_response(*, details: bool) -> EventResponse:
    """Return the response to a request for ``/events``."""
    return EventResponse(HTTPStatus.OK, b"", _HEADERS, details=details)


def _head(response: EventResponse) -> bytes:
    """Return the head; the end of the connection ends the stream, so it has no length."""
    head = response.encoded(head_only=True)
    return head.replace(b"Content-Length: 0\r\n", b"") + b"retry: 3000\n\n"


async def _next_part(reader: _Reader) -> bytes | None:
    """Return the next part, None at the end, a comment when there was none for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_COMMENT_SECONDS):
            return await reader.parts.get()
    return b": no transitions\n\n"


def _part(deliveries: Iterable[Delivery], *, details: bool) -> bytes:
    items = (delivery.item for delivery in deliveries)
    return b"".join(_event(item, details=details) for item in items if item is not None)


def _event(item: Transition | Poison, *, details: bool) -> bytes:
    """Return an event; JSON has no line breaks, so no value can end it."""
    kind = "transition" if isinstance(item, Transition) else "dead-letter"
    data: dict[str, str | int | None] = {"time": item.time[:_MAX_TEXT], "sequence": item.sequence}
    if details:
        data["job_id"] = item.job_id[:_MAX_TEXT]
        data["state"] = item.state[:_MAX_TEXT]
        data["trans_id"] = item.trans_id[:_MAX_TEXT]
        if isinstance(item, Poison):
            data["reason"] = item.reason[:_MAX_TEXT]
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
