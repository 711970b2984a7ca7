"""kafka-python's transports as mended, over a pair of sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaTCPTransport

from bridge.kafka.kafka_python.patches import mend_connections

#: More than the sockets hold between them.
LARGE = 8 * 1024 * 1024


class Ends:
    """A transport, its event loop, and the other end; what it told its protocol."""

    _sensors = None

    def __init__(self) -> None:
        mend_connections()
        here, self.there = socket.socketpair()
        here.setblocking(False)
        self.there.settimeout(20)
        self.net = NetworkSelector()
        self.transport: Any = KafkaTCPTransport(self.net, here)
        self.transport.set_protocol(self)
        self.lost: list[Exception | None] = []

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)

    def close(self) -> None:
        self.there.close()
        self.transport.close()
        self.net.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.close()


def test_a_request_is_written_when_it_is_made(ends: Ends) -> None:
    ends.transport.write(b"one")
    ends.transport.write(b"two")

    # Without a round of the event loop.
    assert ends.there.recv(100) == b"onetwo"


def test_what_the_socket_does_not_take_comes_later_and_in_order(ends: Ends) -> None:
    first, second = bytes(LARGE), b"\1" * LARGE
    ends.transport.write(first)
    ends.transport.write(second)
    ends.transport.write(b"end")
    assert len(ends.transport._write_buffer) == 3

    received = bytearray()
    while len(received) < 2 * LARGE + 3:
        ends.net.poll(timeout_ms=10)
        received += ends.there.recv(LARGE)
    ends.transport.write(b"more")

    assert received == first + second + b"end"
    assert ends.there.recv(100) == b"more"


def test_a_write_to_a_dead_connection_ends_it_in_the_event_loop(ends: Ends) -> None:
    ends.there.close()

    ends.transport.write(b"one")

    assert ends.lost == []  # not in the middle of whoever writes
    for _ in range(5):
        ends.net.poll(timeout_ms=100)
    assert len(ends.lost) == 1
    assert "Broken pipe" in str(ends.lost[0])
