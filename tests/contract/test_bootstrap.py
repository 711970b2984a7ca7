"""The first connection to Kafka when some bootstrap servers do not answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bridge.kafka.drivers import driver_of
from tests.support.factories import settings
from tests.support.servers.kafka import Kafka

#: Two clients are opened, each after two servers of two seconds; the machine may be busy.
BUSY_SECONDS = 15.0


@pytest.fixture(params=["silent", "full"])
def swallowing(request: pytest.FixtureRequest) -> Iterator[str]:
    """Two servers that accept connections and say nothing, or do not even accept them."""
    with ExitStack() as stack:
        yield ",".join(_swallow(stack, full=request.param == "full") for _ in range(2))


def _swallow(stack: ExitStack, *, full: bool) -> str:
    server = stack.enter_context(socket.socket())
    server.bind(("127.0.0.1", 0))
    server.listen(0 if full else 50)
    if full:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
    return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_servers_that_swallow_connections_are_passed_over(
    driver: str, swallowing: str, kafka: Kafka, topic: str
) -> None:
    chosen = settings(
        kafka__bootstrap_servers=f"{swallowing},{kafka.bootstrap}",
        kafka__topic=topic,
        kafka__driver=driver,
    )
    started = time.monotonic()

    with driver_of(chosen).sink(chosen, f"{topic}-dlq", threading.Event()):
        assert time.monotonic() - started < BUSY_SECONDS
