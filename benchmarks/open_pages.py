"""Latency and CPU of a bridge without open status pages and with them, in turn.

``python -m benchmarks.open_pages PORT COUNT`` opens the pages, in a process of its own: each reads
``/events``, and ``/status.json`` and ``/history.json`` every two seconds, as a browser does.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.bridge import MeasuredBridge
from benchmarks.paced_measures import PacedMeasures
from benchmarks.processes import cpu_seconds
from benchmarks.results import ROOT, Results
from benchmarks.world import Route, World

PAGES = 10
_RATE = 200
_SECONDS = 5
#: As in ``page.js``.
_POLL_SECONDS = 2.0
_PERCENT = (50, 99)


@dataclass
class _Measured:
    """Latencies in milliseconds, and the CPU of the bridge in cores, of each round."""

    latencies: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)


class OpenPages:
    """Measures a bridge, in turn without open pages and with them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._paced = PacedMeasures(world, Results())
        self._database = f"pages-{time.monotonic_ns():x}"
        self._topic = world.topic()
        world.create(self._database)

    def rows(self, rounds: int) -> Iterator[Sequence[str]]:
        """Return the rows of a table: name, without pages, with pages, ratio."""
        without, with_pages = _Measured(), _Measured()
        with MeasuredBridge(Route(self._world, self._database, self._topic, None), {}) as bridge:
            bridge.await_ready()
            self._measure(bridge, _Measured())
            for _ in range(rounds):
                self._measure(bridge, without)
                with _opened(bridge.port):
                    self._measure(bridge, with_pages)
        for percent in _PERCENT:
            first, second = (_quantile(part.latencies, percent) for part in (without, with_pages))
            yield f"p{percent}", f"{first:.1f} ms", f"{second:.1f} ms", f"{second / first:.2f}"
        first, second = (statistics.median(part.cores) for part in (without, with_pages))
        yield "cores", f"{first:.3f}", f"{second:.3f}", f"{second / first:.2f}"

    def _measure(self, bridge: MeasuredBridge, measured: _Measured) -> None:
        before, started = cpu_seconds(bridge.pid), time.monotonic()
        target = (self._world.kafka.bootstrap, self._topic)
        pairs = self._paced.paced(self._database, _RATE, _SECONDS, *target).pairs
        seconds = time.monotonic() - started
        measured.cores.append((cpu_seconds(bridge.pid) - before) / seconds)
        measured.latencies += [latency for latency, _ in pairs]


@contextmanager
def _opened(port: int) -> Iterator[None]:
    arguments = (sys.executable, "-m", "benchmarks.open_pages", str(port), str(PAGES))
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()  # The pages are open.
            yield
        finally:
            process.kill()


def _quantile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


async def _get(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bridge\r\n\r\n".encode())
    return reader, writer


async def _poll(port: int) -> None:
    """Poll as long as the process runs."""
    while True:
        for path in ("/status.json", "/history.json"):
            reader, writer = await _get(port, path)
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
        await asyncio.sleep(_POLL_SECONDS)


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _pages(port: int, count: int) -> None:
    streams = [await _get(port, "/events") for _ in range(count)]
    for events, _ in streams:
        await events.readuntil(b"\r\n\r\n")
    print("open", flush=True)
    await asyncio.gather(
        *(_discard(events) for events, _ in streams), *(_poll(port) for _ in streams)
    )


if __name__ == "__main__":
    asyncio.run(_pages(int(sys.argv[1]), int(sys.argv[2])))
