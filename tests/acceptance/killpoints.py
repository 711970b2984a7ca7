"""Starts the bridge as ``python -m bridge`` does, but lets it kill itself when it comes to a named point.

``python -m tests.acceptance.killpoints POINT N ARGUMENT...``: SIGKILL at the N-th time.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from bridge.checkpoint.mongo import MongoCheckpoints
from bridge.cli import main
from bridge.model.window import Window
from bridge.sink.producer import KafkaSink

#: The class and method at each point, and whether death comes before the call or after it.
POINTS: dict[str, tuple[type[Any], str, bool]] = {
    "before-send": (KafkaSink, "send", True),
    "after-ack": (Window, "settle", True),
    "before-save": (MongoCheckpoints, "save", True),
    "after-save": (MongoCheckpoints, "save", False),
}


def command(point: str, count: int) -> tuple[str, ...]:
    """What to start instead of the bridge's own command."""
    return ("tests.acceptance.killpoints", point, str(count), "run")


def arm(point: str, count: int) -> None:
    """Make the ``count``-th call at ``point`` the last thing this process does."""
    owner, name, before = POINTS[point]
    call: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def wrapped(*arguments: Any) -> Any:
        fatal = next(calls) == count
        if fatal and before:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(*arguments)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    _, chosen, nth, *rest = sys.argv
    arm(chosen, int(nth))
    sys.argv = ["job-bridge", *rest]
    main()
