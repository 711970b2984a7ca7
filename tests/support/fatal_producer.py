"""Counts the calls of librdkafka's producer, so that a process can end itself at one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.kafka.librdkafka import clients

Call = Callable[..., Any]
#: Wraps a method of the producer.
Wrap = Callable[[Call], Call]


def wrap_producer(method: str, wrap: Wrap) -> None:
    """Replace a method of the bridge's producers."""
    setattr(clients.Producer, method, wrap(getattr(clients.Producer, method)))
