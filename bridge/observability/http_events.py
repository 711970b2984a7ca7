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
from secrets import token_hex
from typing import NamedTuple

from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery
from bridge.observability.http_request import Headers, Request, Response
from bridge.observability.recent import RecentDeliveries

#: The events that a new reader gets first.
FIRST_EVENTS = 20
#: The events that a reader that connects again can still get; long texts of them are cut.
MAX_KEPT = 1000
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
_READ_BYTES = 4096
#: Of a number in an id.
_MAX_DIGITS = 18
_HEADERS: Headers = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    # A proxy that collects parts would delay them.
    ("X-Accel-Buffering", "no"),
)


@dataclass(frozen=True, slots=True)
class EventResponse(Response):
    """The start of a stream.

    Attributes:
        details: Whether its reader may see job ids.
        after: The id of the last event that the reader has; empty for a new reader.
    """

    details: bool = True
    after: str = ""


class _Event(NamedTuple):
    """An event and its number in this process; None for transitions that were left out."""

    number: int
    item: Transition | Poison | None


class _Reader(NamedTuple):
    parts: "asyncio.Queue[bytes | None]"
    details: bool


class EventFeed:
    """Hands the newest transitions to every reader; a reader that is too slow is dropped."""

    def __init__(self, recent: RecentDeliveries) -> None:
        self._recent = recent
        self._last: Delivery | None = None
        #: A reader may have ids of an earlier process, which had other numbers.
        self._process = token_hex(4)
        self._number = 0
        self._kept: deque[_Event] = deque(maxlen=MAX_KEPT)
        self._readers: list[_Reader] = []

    def pump(self) -> None:
        """Hand on the transitions since the last call; never waits."""
        deliveries, missed = self._recent.after(self._last)
        if not deliveries:
            return
        self._last = deliveries[-1]
        given = [delivery for delivery in deliveries if delivery.item is not None]
        left_out: list[None] = [None] * (missed or len(given) > MAX_EVENTS)
        items = [_shown(delivery) for delivery in given[-MAX_EVENTS:]]
        events = [self._numbered(item) for item in (*left_out, *items)]
        self._kept.extend(events)
        for details in {reader.details for reader in self._readers}:
            part = self._part(events, details=details)
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
        first = self._part(self._after(response.after), details=response.details)
        reader.parts.put_nowait(_head(response) + first)
        self._readers.append(reader)
        leaving = asyncio.create_task(_leaving(client, reader))
        try:
            while (part := await _next_part(reader)) is not None:
                async with asyncio.timeout(_SEND_SECONDS):
                    await loop.sock_sendall(client, part)
        finally:
            self._readers.remove(reader)
            leaving.cancel()
            # The loop must not read the socket when it is closed.
            await asyncio.wait([leaving])

    def _numbered(self, item: Transition | Poison | None) -> _Event:
        self._number += 1
        return _Event(self._number, item)

    def _after(self, identifier: str) -> list[_Event]:
        """Return the events after one of this process; for other ids, those for a new reader."""
        process, _, number = identifier.partition("-")
        kept = [*self._kept]
        if process != self._process or not number.isdecimal() or not kept:
            return kept[-FIRST_EVENTS:]
        seen = int(number[:_MAX_DIGITS])
        # The event before the first is the last that the reader may have without a gap.
        gap = [_Event(kept[0].number - 1, None)] if seen < kept[0].number - 1 else []
        return gap + [event for event in kept if event.number > seen]

    def _part(self, events: Iterable[_Event], *, details: bool) -> bytes:
        return b"".join(
            b"id: %b-%d\n" % (self._process.encode(), event.number)
            + _event(event.item, details=details)
            for event in events
        )

    def _hand(self, reader: _Reader, part: bytes) -> None:
        if reader.parts.full():
            _end(reader)
        else:
            reader.parts.put_nowait(part)


_MISSED = b"event: missed\ndata: {}\n\n"


def event_response(request: Request) -> EventResponse:
    """Return the response to a request for ``/events``."""
    return EventResponse(
        HTTPStatus.OK, b"", _HEADERS, details=request.details, after=request.last_event_id
    )


def _head(response: EventResponse) -> bytes:
    """Return the head; the end of the connection ends the stream, so it has no length."""
    head = response.encoded(head_only=True)
    return head.replace(b"Content-Length: 0\r\n", b"") + b"retry: 3000\n\n"


def _end(reader: _Reader) -> None:
    """Make the end the next part that a reader gets: it connects again if it wants to."""
    while not reader.parts.empty():
        reader.parts.get_nowait()
    reader.parts.put_nowait(None)


async def _leaving(client: socket.socket, reader: _Reader) -> None:
    """Wait until the reader closes its connection, then end its stream."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while await loop.sock_recv(client, _READ_BYTES):
            # A reader has nothing to say; one that sends must not keep the thread busy.
            await asyncio.sleep(_COMMENT_SECONDS)
    _end(reader)


async def _next_part(reader: _Reader) -> bytes | None:
    """Return the next part, None at the end, a comment when there was none for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_COMMENT_SECONDS):
            return await reader.parts.get()
    return b": no transitions\n\n"


def _shown(delivery: Delivery) -> Transition | Poison | None:
    """Return the transition or the dead letter of a delivery, without text that is not shown."""
    item = delivery.letter or delivery.item
    if item is None or delivery.size <= _MAX_TEXT:
        return item
    texts = {name: text[:_MAX_TEXT] for name, text in item._asdict().items() if name != "sequence"}
    return item._replace(**texts)


def _event(item: Transition | Poison | None, *, details: bool) -> bytes:
    """Return an event; JSON has no line breaks, so no value can end it."""
    if item is None:
        return _MISSED
    kind = "transition" if isinstance(item, Transition) else "dead-letter"
    data: dict[str, str | int | None] = {
        "time": item.time[:_MAX_TEXT],
        "sequence": item.sequence,
        "state": item.state[:_MAX_TEXT],
    }
    if details:
        data["job_id"] = item.job_id[:_MAX_TEXT]
        data["trans_id"] = item.trans_id[:_MAX_TEXT]
        if isinstance(item, Poison):
            data["reason"] = item.reason[:_MAX_TEXT]
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
