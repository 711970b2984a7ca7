"""Counts the calls of librdkafka's producer, so that a process can end itself at one of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import confluent_kafka

Call = Callable[..., Any]
#: Wraps a method of the producer.
Wrap = Callable[[Call], Call]


def wrap_producer(method: str, wrap: Wrap) -> None:
    """Replace a method of ``confluent_kafka.Producer``, whose class is not written in Python.

    It is replaced in every module of the bridge that has imported it.
    """
    original = confluent_kafka.Producer
    namespace = {method: wrap(getattr(original, method))}
    replace_producer(type("FatalProducer", (original,), namespace))


def replace_producer(replacement: type[Any]) -> None:
    """Let the bridge use another class of producers."""
    original = confluent_kafka.Producer
    setattr(confluent_kafka, "Producer", replacement)  # noqa: B010 - mypy refuses the assignment
    for name, module in list(sys.modules.items()):
        if name.startswith("bridge.") and getattr(module, "Producer", None) is original:
            setattr(module, "Producer", replacement)  # noqa: B010
