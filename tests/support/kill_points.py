"""``python -m bridge`` that kills itself at a named point.

``python -m tests.support.kill_points POINT N ARGUMENT...``: SIGKILL at the N-th time.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bridge.cli import main
from bridge.kafka.kafka_python import KafkaPythonSink
from bridge.kafka.librdkafka import LibrdkafkaSink
from bridge.model.window import Window
from bridge.mongo.checkpoints import MongoCheckpointStore
from bridge.mongo.transition_tags import TransitionTags

#: The classes and the method at each point, and whether death comes before the call or after it.
POINTS: dict[str, tuple[tuple[type[Any], ...], str, bool]] = {
    "before-send": ((KafkaPythonSink, LibrdkafkaSink), "send", True),
    "after-ack": ((Window,), "settle", True),
    "before-save": ((MongoCheckpointStore,), "save", True),
    "after-save": ((MongoCheckpointStore,), "save", False),
    "before-untag": ((TransitionTags,), "clear", True),
    "after-untag": ((TransitionTags,), "clear", False),
}


def command(point: str, count: int) -> tuple[str, ...]:
    """The command that replaces the bridge's own."""
    return ("tests.support.kill_points", point, str(count), "run")


def arm(point: str, count: int) -> None:
    """Make the ``count``-th call at ``point`` the last thing this process does."""
    owners, name, before = POINTS[point]
    calls = itertools.count(1)
    for owner in owners:
        setattr(owner, name, _fatal(getattr(owner, name), calls, count, before=before))


def _fatal(
    call: Callable[..., Any], calls: Iterator[int], count: int, *, before: bool
) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> Any:
        fatal = next(calls) == count
        if fatal and before:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(*arguments)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return wrapped


if __name__ == "__main__":
    _, chosen, nth, *rest = sys.argv
    arm(chosen, int(nth))
    sys.argv = ["job-bridge", *rest]
    main()
