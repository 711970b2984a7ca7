"""Runs calls that may take minutes on threads of their own.

MongoDB may scan its whole oplog before it opens a stream, and every job before it returns the
first one. Meanwhile the main thread notices a stop and keeps the checkpoint owned.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, ExitStack, suppress
from itertools import islice
from typing import Any, Generic, TypeVar

from bridge.pipeline.pulse import Pulse

T = TypeVar("T")


#: How long closing clients may take at a stop: a server that is frozen answers no last request.
CLOSE_SECONDS = 5.0


class Stopped(Exception):
    """A stop was requested during a slow call; the call ends with the process."""


class Background:
    """Runs the slow calls of a bridge on threads of their own.

    Its errors are those of the calls, and ``Fenced`` when another bridge owns the checkpoint.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        #: The last call that was started for polling; None before the first.
        self._polled: Future[Any] | None = None

    def call(self, function: Callable[[], T]) -> T:
        """Make a call and wait for its result. Raises its error, and ``Stopped``."""
        future = _started(function)
        try:
            while not self._pulse.wait_for(future):
                if self._pulse.stop.is_set():
                    raise Stopped
            return future.result()
        finally:
            # An error's traceback refers to this frame, and with it to the client that failed.
            del future

    def enter(self, stack: ExitStack, manager: AbstractContextManager[T]) -> T:
        """Enter ``manager`` in the background; ``stack`` leaves it.

        Raises its error, and ``Stopped``.
        """
        return self.call(lambda: stack.enter_context(manager))

    def deferred(self, function: Callable[[], T]) -> "BackgroundCall[T]":
        """Return a call that its first ``poll`` starts."""
        return BackgroundCall(self, function)

    def reader(self, source: Iterator[T]) -> "BackgroundReader[T]":
        """Return a reader of ``source``, which nothing else may read."""
        return BackgroundReader(self, source)

    def start(self, function: Callable[[], T]) -> Future[T]:
        """Start a call for polling; the pulse wakes when it is done. At most one at a time."""
        future = _started(function)
        self._polled = future
        future.add_done_callback(lambda _: self._pulse.wake.set())
        return future

    def finish(self) -> None:
        """Wait for a call that is not polled any more, or for a stop; its result is discarded."""
        polled, self._polled = self._polled, None
        while polled and not self._pulse.stop.is_set() and not self._pulse.wait_for(polled):
            pass


class BackgroundCall(Generic[T]):
    """A call in the background; see :class:`bridge.pipeline.ports.SlowCall`.

    After a ``poll`` that returned a result, or raised, the next one starts the call again.
    """

    def __init__(self, background: Background, function: Callable[[], T]) -> None:
        self._background = background
        self._function = function
        self._future: Future[T] | None = None

    def poll(self) -> T | None:
        if self._future is None:
            self._future = self._background.start(self._function)
        if not self._future.done():
            return None
        done, self._future = self._future, None
        try:
            return done.result()
        finally:
            del done  # as in ``Background.call``


class BackgroundReader(Generic[T]):
    """Reads an iterator in the background; see :class:`bridge.pipeline.ports.SlowReader`."""

    def __init__(self, background: Background, source: Iterator[T]) -> None:
        self._source = source
        self._max_items = 0
        self._part = BackgroundCall(background, self._read)
        self.ended = False

    def poll(self, max_items: int) -> list[T] | None:
        self._max_items = max_items
        part = self._part.poll()
        if part is not None:
            self.ended = len(part) < max_items
        return part

    def _read(self) -> list[T]:
        return list(islice(self._source, self._max_items))


def close_all(*closers: Callable[[], object]) -> None:
    """Close clients one after another, for at most :data:`CLOSE_SECONDS` together."""

    def close() -> None:
        for closer in closers:
            with suppress(Exception):
                closer()

    wait([_started(close)], CLOSE_SECONDS)


def _started(function: Callable[[], T]) -> Future[T]:
    future = Future[T]()
    threading.Thread(target=_run, args=(function, future), name="background", daemon=True).start()
    return future


def _run(function: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
        future.set_exception(error)
    finally:
        del future  # as in ``Background.call``
