"""Readers and calls of the background, without threads: ready after a number of polls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class PolledReader(Generic[T]):
    """See :class:`bridge.pipeline.ports.SlowReader`; the first part is there at poll ``polls``."""

    def __init__(self, source: Iterator[T], polls: int = 1) -> None:
        self._source = source
        self._polls = polls
        self.ended = False

    def poll(self, max_items: int) -> list[T] | None:
        self._polls -= 1
        if self._polls > 0:
            return None
        part = list(islice(self._source, max_items))
        self.ended = len(part) < max_items
        return part


class PolledReaders:
    """See :class:`bridge.pipeline.ports.BackgroundReaders`."""

    def __init__(self, polls: int = 1) -> None:
        self._polls = polls

    def reader(self, source: Iterator[T]) -> PolledReader[T]:
        return PolledReader(source, self._polls)


class PolledCall(Generic[T]):
    """See :class:`bridge.pipeline.ports.SlowCall`; made at the first poll."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function

    def poll(self) -> T | None:
        return self._function()
