"""``python -m bridge`` that ends or freezes itself at a named point.

``python -m tests.support.kill_points POINT N SIGNAL ARGUMENT...``: SIGNAL at the N-th time.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Literal, NamedTuple

from bridge.cli import main
from tests.support.fatal_producer import wrap_producer

#: The client's producer itself, which every transaction uses.
PRODUCER = "confluent_kafka:Producer"
_SINKS = ("bridge.kafka.kafka_python:KafkaPythonSink", "bridge.kafka.librdkafka:LibrdkafkaSink")
_MONGO_STORE = ("bridge.mongo.checkpoints:MongoCheckpointStore",)
_KAFKA_STORE = ("bridge.kafka.librdkafka.checkpoints:KafkaCheckpointStore",)
_TRANSACTIONS = ("bridge.kafka.librdkafka.transactional_producer:TransactionalProducer",)
_TAGS = ("bridge.mongo.transition_tags:TransitionTags",)
#: The longest delay of the signal after the start of a call; a commit lasts some milliseconds.
_DURING_SECONDS = 0.006


class Point(NamedTuple):
    """A method of some classes, and when in its call the signal comes."""

    owners: tuple[str, ...]
    method: str
    moment: Literal["before", "during", "after"]


POINTS = {
    "before-send": Point(_SINKS, "send", "before"),
    "after-ack": Point(("bridge.model.window:Window",), "settle", "before"),
    "before-save": Point(_MONGO_STORE, "save", "before"),
    "after-save": Point(_MONGO_STORE, "save", "after"),
    "before-untag": Point(_TAGS, "clear", "before"),
    "after-untag": Point(_TAGS, "clear", "after"),
    # The transactions of the predecessor are ended, of the first id or of both.
    "before-read-back": Point((PRODUCER,), "init_transactions", "after"),
    "after-read-back": Point(_KAFKA_STORE, "load", "after"),
    "after-begin": Point(_TRANSACTIONS, "begin", "after"),
    "after-produce": Point((PRODUCER,), "produce", "after"),
    "before-commit": Point((PRODUCER,), "commit_transaction", "before"),
    "during-commit": Point((PRODUCER,), "commit_transaction", "during"),
    "after-commit": Point((PRODUCER,), "commit_transaction", "after"),
}


def command(
    point: str, count: int, number: signal.Signals = signal.SIGKILL, subcommand: str = "run"
) -> tuple[str, ...]:
    """The command that replaces the bridge's own."""
    return ("tests.support.kill_points", point, str(count), number.name, subcommand)


def arm(point: str, count: int, number: signal.Signals) -> None:
    """Send this process a signal in the ``count``-th call at ``point``."""
    owners, method, moment = POINTS[point]
    calls = itertools.count(1)

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        return _fatal(call, calls, count, number, moment)

    for owner in owners:
        if owner == PRODUCER:
            wrap_producer(method, wrap)
            continue
        module, _, name = owner.partition(":")
        owning_class = getattr(import_module(module), name)
        setattr(owning_class, method, wrap(getattr(owning_class, method)))


def _fatal(
    call: Callable[..., Any], calls: Iterator[int], count: int, number: signal.Signals, moment: str
) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        fatal = next(calls) == count
        if fatal and moment == "before":
            os.kill(os.getpid(), number)
        if fatal and moment == "during":
            delay = random.uniform(0, _DURING_SECONDS)
            threading.Timer(delay, os.kill, (os.getpid(), number)).start()
        try:
            return call(*arguments, **named)
        finally:
            # A call that timed out is repeated, and no other has this number.
            if fatal and moment != "before":
                os.kill(os.getpid(), number)

    return wrapped


if __name__ == "__main__":
    _, chosen, nth, signal_name, *rest = sys.argv
    arm(chosen, int(nth), signal.Signals[signal_name])
    sys.argv = ["job-bridge", *rest]
    main()
