"""Which code a process was seen in: samples that py-spy takes from outside, so that the interpreter's lock does not choose them.

A profiler inside the process runs when it gets that lock, which is mostly where a thread has just given it up.
"""

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

from benchmarks.bridge import ROOT

_PER_SECOND = 200
_ATTACH_SECONDS = 0.5
_STACK = re.compile(r"^thread \((\d+)\)[^;]*;(.*) (\d+)$")
_FRAME = re.compile(r"\((.*?)(?::\d+)?\)$")
#: The innermost frame whose file begins so decides; files as they are below the folder of packages.
PARTS = (
    ("<frozen importlib", "start"),
    ("kafka/record/", "kafka-python: encoding records"),
    ("kafka/producer/", "kafka-python: its buffer and futures"),
    ("kafka/", "kafka-python: protocol and network"),
    ("confluent_kafka/", "handing over to the driver"),
    ("bridge/kafka/", "handing over to the driver"),
    ("bson/", "BSON to dicts"),
    ("pymongo/", "reading the socket"),
    ("bridge/mongo/change_stream", "BSON to dicts"),
    ("bridge/mongo/change_stream_cursor", "BSON to dicts"),
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

#: Of each thread, by its id, how often it was seen working in each part.
Seen = dict[int, Counter[str]]


@contextmanager
def sampled(pid: int, output: Path) -> Iterator[None]:
    """Sample a process while inside; ``output`` has the stacks afterwards, and is missing where that is not allowed."""
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    command = [
        program,
        "record",
        "--pid",
        str(pid),
        "--rate",
        str(_PER_SECOND),
        "--threads",
        "--nonblocking",
        "--full-filenames",
        "--format",
        "raw",
        "--output",
        str(output),
    ]
    with output.with_suffix(".log").open("wb") as log:
        profiler = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    time.sleep(_ATTACH_SECONDS)
    try:
        yield
    finally:
        profiler.send_signal(signal.SIGINT)
        profiler.wait(30)


def seen(output: Path) -> Seen:
    """The samples of ``output``, without those of importing."""
    found: Seen = {}
    for line in output.read_text().splitlines():
        stack = _STACK.match(line)
        if stack:
            part = _part(stack[2].split(";"))
            if part != "start":
                found.setdefault(int(stack[1]), Counter())[part] += int(stack[3])
    return found


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        file = _FRAME.search(frame)
        place = _below_packages(file[1]) if file else ""
        for beginning, part in PARTS:
            if place.startswith(beginning):
                return part
    return "the interpreter and the rest"


def _below_packages(file: str) -> str:
    """``bridge/model/window.py`` or ``bson/__init__.py``, wherever the file lies."""
    return file.removeprefix(f"{ROOT}/").rpartition("/site-packages/")[2]
