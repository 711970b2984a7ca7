"""Server-sent events: readers get transitions, slow readers are dropped, memory is bounded."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from bridge.demo.servers.process import poll
from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery
from bridge.observability import http_events
from bridge.observability.certificates import Certificates
from bridge.observability.http_events import (
    FIRST_EVENTS,
    MAX_KEPT,
    MAX_PARTS,
    MAX_READERS,
    EventFeed,
    event_response,
)
from bridge.observability.http_request import Request
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import registry
from bridge.observability.recent import MAX_BYTES, MAX_DELIVERIES, RecentDeliveries
from tests.support.factories import delivery, settings, transition
from tests.support.fakes import FakeClock
from tests.support.http_crowd import ask
from tests.support.observed_bridge import ObservedBridge, status_of

REQUEST = b" /events HTTP/1.1\r\nHost: bridge\r\n\r\n"
END = b"\n\n"


class EventReader:
    """Reads a stream of server-sent events, a whole event at a time."""

    def __init__(self, client: socket.socket) -> None:
        self._stream = client.makefile("rb")
        self.identifier = ""

    def head(self) -> bytes:
        return b"".join(iter(self._stream.readline, b"\r\n"))

    def event(self) -> tuple[str, dict[str, Any]]:
        """Return the kind and the data of the next event, past comments."""
        while True:
            lines = [line.decode().rstrip("\n") for line in iter(self._stream.readline, b"\n")]
            fields = dict(line.split(": ", 1) for line in lines)
            self.identifier = fields.get("id", self.identifier)
            if "event" in fields:
                return fields["event"], json.loads(fields["data"])


def of_item(number: int, item: Any = None) -> Delivery:
    settled = delivery(number)
    settled.item = item or transition(number)
    return settled


@pytest.fixture
def observed() -> ObservedBridge:
    return ObservedBridge(last_beat=FakeClock().monotonic())


@pytest.fixture
def server(observed: ObservedBridge) -> Iterator[HttpServer]:
    status = status_of(observed, FakeClock())
    metrics = registry(status, ["running"], Certificates(settings()))
    with HttpServer("127.0.0.1", 0, status, registry=metrics) as server:
        yield server


@contextmanager
def reading(server: HttpServer, after: str = "") -> Iterator[EventReader]:
    header = f"Last-Event-ID: {after}\r\n\r\n" if after else "\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET" + REQUEST.removesuffix(b"\r\n") + header.encode())
        yield EventReader(client)


def test_readers_get_old_and_new_transitions(server: HttpServer, observed: ObservedBridge) -> None:
    observed.recent.add([of_item(1)])
    with reading(server) as first, reading(server) as second:
        assert b"Content-Type: text/event-stream" in first.head()
        assert b"Content-Length" not in second.head()
        assert [reader.event()[0] for reader in (first, second)] == ["transition"] * 2

        observed.recent.add([of_item(2), of_item(3)])
        for reader in (first, second):
            sequences = [reader.event()[1]["time"] for _ in range(2)]
            assert sequences == [transition(2).time, transition(3).time]


def test_anonymous_readers_see_no_jobs(server: HttpServer, observed: ObservedBridge) -> None:
    observed.recent.add([of_item(1)])
    with reading(server) as reader:
        reader.head()
        _, data = reader.event()
        assert data == {"time": transition(1).time, "sequence": 1, "state": transition(1).state}


def test_a_reader_resumes_after_its_last_event(
    server: HttpServer, observed: ObservedBridge
) -> None:
    observed.recent.add([of_item(number) for number in range(1, 4)])
    with reading(server) as reader:
        reader.head()
        reader.event()
        seen = reader.identifier

    with reading(server, seen) as resumed, reading(server, "0123abcd-1") as other:
        for reader, first in ((resumed, 2), (other, 1)):
            reader.head()
            assert reader.event()[1]["time"] == transition(first).time
    assert resumed.identifier.endswith("-2")


def test_a_large_transition_is_a_dead_letter(server: HttpServer, observed: ObservedBridge) -> None:
    large = of_item(1)
    large.letter = Poison("the message has 2000000 bytes", "job-1", "created")
    observed.recent.add([large])
    with reading(server) as reader:
        reader.head()
        kind, data = reader.event()
        assert (kind, data["state"]) == ("dead-letter", "created")


def test_readers_that_leave_make_room(server: HttpServer) -> None:
    """At once, although there is nothing to send to them."""
    with ExitStack() as connections:
        for _ in range(MAX_READERS):
            reader = connections.enter_context(reading(server))
            assert b"200 OK" in reader.head()
        with reading(server) as refused:
            assert b"503" in refused.head()

    def is_admitted() -> bool:
        with reading(server) as reader:
            return b"200 OK" in reader.head()

    poll(is_admitted, "a place for another reader", 5)


def test_a_reader_that_sends_is_tolerated(server: HttpServer, observed: ObservedBridge) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET" + REQUEST)
        reader = EventReader(client)
        reader.head()
        client.sendall(b"more")
        observed.recent.add([of_item(1)])
        assert reader.event()[0] == "transition"


def test_a_late_reader_learns_of_a_gap() -> None:
    recent = RecentDeliveries()
    feed = EventFeed(recent)
    for number in range(1, MAX_KEPT + 10):
        recent.add([of_item(number)])
        feed.pump()

    late = feed._after(f"{feed._process}-3")
    assert [event.number for event in late] == [*range(9, MAX_KEPT + 10)]
    assert [event.item is None for event in late] == [True] + [False] * MAX_KEPT
    assert feed._after(f"{feed._process}-{MAX_KEPT + 9}") == []
    assert len(feed._after(f"{feed._process}-x")) == FIRST_EVENTS


def test_head_requests_end(server: HttpServer) -> None:
    answer = ask(server.port, b"HEAD" + REQUEST)
    assert (answer.code, answer.body) == (200, b"")


def test_values_cannot_forge_events() -> None:
    item = Poison("no\nevent: x\n\n", "job\r\n\r\n", "<b>\u2028" + "x" * 10_000)
    event = http_events._event(item, details=True)
    assert event.count(b"\n") == 3
    assert event.startswith(b"event: dead-letter\ndata: {")
    assert len(event) < 2000
    assert json.loads(event.split(b"data: ")[1])["reason"] == "no\nevent: x\n\n"


def test_a_reader_that_stops_is_dropped() -> None:
    """The feed does not wait for it, and keeps a bounded number of parts for it."""
    recent = RecentDeliveries()
    feed = EventFeed(recent)

    async def read_nothing() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            serving = asyncio.create_task(
                feed.serve(ours, event_response(Request("GET", "/events")))
            )
            await asyncio.sleep(0)
            (reader,) = feed._readers
            for number in range(2 * MAX_PARTS):
                recent.add([of_item(number)])
                feed.pump()
                assert reader.parts.qsize() <= MAX_PARTS
            await serving
        assert feed._readers == []

    asyncio.run(asyncio.wait_for(read_nothing(), 20))


def test_memory_of_deliveries_is_bounded() -> None:
    recent = RecentDeliveries()
    first = of_item(0)
    recent.add([first])
    assert recent.after(None) == ([first], False)
    assert recent.after(first) == ([], False)

    recent.add([of_item(number) for number in range(2 * MAX_DELIVERIES)])
    deliveries, missed = recent.after(first)
    assert (len(deliveries), missed) == (MAX_DELIVERIES, True)
    assert recent.after(deliveries[-3]) == (deliveries[-2:], False)


def test_memory_of_large_deliveries_is_bounded() -> None:
    """In small batches, in one batch, and for a single delivery that is too large itself."""
    large = [delivery(number, MAX_BYTES // 10) for number in range(30)]
    recent = RecentDeliveries()
    for settled in large:
        recent.add([settled])
    assert recent.after(None)[0] == large[-10:]

    recent.add(large)
    assert recent.after(None)[0] == large[-10:]

    huge = delivery(1, 2 * MAX_BYTES)
    recent.add([delivery(0), huge])
    assert recent.after(None) == ([huge], False)


def test_memory_of_events_is_bounded() -> None:
    recent = RecentDeliveries()
    feed = EventFeed(recent)
    settled = delivery(0, 2_000_000)
    settled.item = transition(0, state="s" * 2_000_000)
    recent.add([settled])
    feed.pump()
    (kept,) = feed._kept
    assert isinstance(kept.item, Transition)
    assert (kept.item.job_id, len(kept.item.state)) == ("job-0", 1000)


def test_no_memory_has_no_deliveries() -> None:
    assert RecentDeliveries().after(None) == ([], False)
