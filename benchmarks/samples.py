"""Samples of a running bridge, taken by py-spy from outside the process.

A profiler inside the process runs when it gets the interpreter's lock, mostly just after a thread
released it; its samples would show those places only.

``python -m benchmarks.samples run`` starts the bridge so that any process of the same user may
sample it, where Linux otherwise permits a parent only.
"""

import ctypes
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.results import ROOT

#: prctl(2).
_PR_SET_PTRACER, _PR_SET_PTRACER_ANY = 0x59616D61, -1
_PER_SECOND = 200
_ATTACH_SECONDS = 0.5
_STACK = re.compile(r"^thread \((\d+)\)[^;]*;(.*) (\d+)$")
_FRAME = re.compile(r"\((.*?)(?::\d+)?\)$")
_START = "start"
#: The innermost frame whose file starts with a prefix decides; the first prefix wins.
PARTS = (
    ("<frozen importlib", _START),
    ("kafka/record/", "kafka-python: encoding records"),
    ("kafka/producer/", "kafka-python: its buffer and futures"),
    ("kafka/", "kafka-python: protocol and network"),
    ("confluent_kafka/", "handing over to the driver"),
    ("bridge/kafka/", "handing over to the driver"),
    ("bson/", "BSON to dicts"),
    ("pymongo/", "reading the socket"),
    ("bridge/mongo/change_stream", "BSON to dicts"),
    ("bridge/mongo/", "transitions of events"),
    ("bridge/model/position", "transitions of events"),
    ("bridge/model/transition", "transitions of events"),
    ("bridge/model/message", "the message"),
    ("bridge/model/window", "window and bookkeeping"),
    ("bridge/pipeline/progress", "checkpoint"),
    ("bridge/pipeline/", "window and bookkeeping"),
    ("bridge/observability/metrics", "window and bookkeeping"),
    ("bridge/checkpoint/", "checkpoint"),
    ("bridge/", "the rest of the bridge"),
)

#: The number of samples in each part, by the thread's id.
Counts = dict[int, Counter[str]]


@contextmanager
def sampled(pid: int, output: Path) -> Iterator[None]:
    """Sample a process while inside.

    ``output`` contains the stacks at the end; it is missing where sampling is not permitted.
    """
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    options = ("--threads", "--nonblocking", "--full-filenames", "--format", "raw")
    command = [program, "record", "--pid", str(pid), "--rate", str(_PER_SECOND), *options]
    with output.with_suffix(".log").open("wb") as log:
        profiler = subprocess.Popen(
            [*command, "--output", str(output)], stdout=log, stderr=subprocess.STDOUT
        )
    time.sleep(_ATTACH_SECONDS)
    try:
        yield
    finally:
        profiler.send_signal(signal.SIGINT)
        profiler.wait(30)


def counted(output: Path) -> Counts:
    """Count the samples of each part, without those of imports."""
    counts: Counts = {}
    for line in output.read_text().splitlines():
        stack = _STACK.match(line)
        part = _part(stack[2].split(";")) if stack else _START
        if stack and part != _START:
            counts.setdefault(int(stack[1]), Counter())[part] += int(stack[3])
    return counts


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        file = _FRAME.search(frame)
        path = _below_packages(file[1]) if file else ""
        for prefix, part in PARTS:
            if path.startswith(prefix):
                return part
    return "the interpreter and the rest"


def _below_packages(file: str) -> str:
    """``bridge/model/window.py`` or ``bson/__init__.py``, in any folder."""
    return file.removeprefix(f"{ROOT}/").rpartition("/site-packages/")[2]


if __name__ == "__main__":
    from bridge.cli import main

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(_PR_SET_PTRACER_ANY))
    main()
