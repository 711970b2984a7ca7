"""One bridge under measurement: started as an operator does, read through its own HTTP and /proc."""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.demo.process import Child, free_port, poll

TICKS = os.sysconf("SC_CLK_TCK")


class Bridge:
    """A context manager; ``settings`` are ``section.name`` to value."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._port = free_port()
        given = {**settings, "http.port": str(self._port), "log.format": "plain"}
        environment = {f"JOB_BRIDGE_{name.replace('.', '_').upper()}": value for name, value in given.items()}
        self._child = Child([sys.executable, "-m", "bridge", "run"], folder / "bridge.log", os.environ | environment)
        self.start_seconds = 0.0

    def __enter__(self) -> "Bridge":
        began = time.monotonic()
        self._child.start()
        self._child.await_ready(self._ready, "the bridge")
        self.start_seconds = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1):
                return True
        except OSError:
            return False

    def status(self) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/status.json", timeout=5) as answer:
            return json.load(answer)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def until_acked(self, count: int, seconds: float = 600.0) -> float:
        """Wait until so many messages are acknowledged; return the seconds it took."""
        began = time.monotonic()
        poll(lambda: self.status()["counters"]["acked"] >= count, f"{count} messages", seconds)
        return time.monotonic() - began

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_megabytes(self) -> float:
        """The largest resident size so far."""
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
