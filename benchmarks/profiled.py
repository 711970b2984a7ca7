"""Where the time of one message goes: the bridge under a sampling profiler of its own.

``python -m benchmarks.profiled FILE run`` runs the bridge as ``python -m bridge run`` does, and writes on its end
the CPU seconds of each thread (the kernel's count) and which code each thread was seen in.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from benchmarks.processes import TICKS

_EVERY_SECONDS = 0.002
#: The innermost frame whose module begins so decides.
_PARTS = (
    ("kafka.record", "kafka-python: encoding records"), ("kafka.", "kafka-python: the rest"),
    ("bridge.sink.librdkafka", "handing over to librdkafka"), ("bridge.sink", "handing over, collecting answers"),
    ("bridge.source.decode", "transitions of events"), ("bridge.source.jobids", "transitions of events"), ("bridge.model.transition", "transitions of events"),
    ("bridge.model.position", "transitions of events"), ("bridge.source.stream", "BSON to dicts"), ("bson", "BSON to dicts"), ("pymongo", "reading the socket"),
    ("bridge.model.message", "the message"), ("bridge.pipeline.publish", "window and bookkeeping"), ("bridge.model.window", "window and bookkeeping"),
    ("bridge.pipeline.loop", "window and bookkeeping"), ("bridge.metrics", "window and bookkeeping"), ("bridge.pipeline.progress", "checkpoint"),
    ("bridge.checkpoint", "checkpoint"), ("concurrent", "checkpoint"),
)
_WAITING = ("wait", "select", "poll", "_poll", "recv_into", "_recv_msg_into", "receive_data", "_wait_for_tstate_lock")


class Sampler(threading.Thread):
    """Looks at every thread now and then; its own time is not counted."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._seen: dict[str, Counter[str]] = {}

    def run(self) -> None:
        while True:
            time.sleep(_EVERY_SECONDS)
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                if ident != self.ident and frame.f_code.co_name not in _WAITING:
                    self._seen.setdefault(names.get(ident, "?"), Counter())[_part(frame)] += 1

    def report(self) -> dict[str, dict[str, object]]:
        """Of each thread: its CPU seconds, and the shares of the parts it was seen in."""
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        found: dict[str, dict[str, object]] = {}
        for task in Path("/proc/self/task").iterdir():
            stat = (task / "stat").read_text()
            fields = stat.rpartition(")")[2].split()
            name = names.get(int(task.name), stat[stat.index("(") + 1 : stat.rindex(")")])
            if name != self.name:
                found[name] = {"cpu": (int(fields[11]) + int(fields[12])) / TICKS, "seen": dict(self._seen.get(name, {}))}
        return found


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        for beginning, part in _PARTS:
            if module.startswith(beginning):
                return part
        frame = frame.f_back
    return "start and the rest"


if __name__ == "__main__":
    from bridge.cli import main

    output = Path(sys.argv[1])
    sampler = Sampler()
    sampler.start()
    sys.argv = ["job-bridge", *sys.argv[2:]]
    try:
        main()
    finally:
        output.write_text(json.dumps({"pid": os.getpid(), "threads": sampler.report()}))
