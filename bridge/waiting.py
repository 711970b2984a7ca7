"""Waiting, and doing what may take long: meanwhile a stop is heard, and the checkpoint stays ours."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, ExitStack
from itertools import islice
from typing import TypeVar

from bridge.clock import Clock

#: How soon a stop is heard.
_PULSE_SECONDS = 0.25

Found = TypeVar("Found")


class Stopped(Exception):
    """A stop was asked for while something took long."""


class Waiting:
    """``keep`` is called four times a second meanwhile; it raises what ends the wait."""

    def __init__(self, stop: threading.Event, clock: Clock, keep: Callable[[], None]) -> None:
        self._stop, self._clock, self._keep = stop, clock, keep

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass, fewer when a stop is asked for. First what failed goes: Kafka's clients leave threads and sockets in cycles."""
        gc.collect()
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0 and not self._stop.wait(min(left, _PULSE_SECONDS)):
            self._keep()

    def enter(self, stack: ExitStack, part: AbstractContextManager[Found]) -> Found:
        """Enter ``part`` on a thread of its own, to be left with ``stack``. Raises what it raises, :class:`Stopped` when asked to stop."""
        return self.do(lambda: stack.enter_context(part))

    def taking(self, source: Iterator[Found]) -> Callable[[int], list[Found]]:
        """What gives the next ones of ``source``, so many at most; it raises like ``enter``. Nobody else may read ``source``."""
        return lambda most: self.do(lambda: list(islice(source, most)))

    def do(self, call: Callable[[], Found]) -> Found:
        """Call on a thread of its own. Raises what it raises, and :class:`Stopped`: what is half done then ends with the process."""
        outcome = Future[Found]()
        threading.Thread(target=_call, args=(call, outcome), name="waited-for", daemon=True).start()
        try:
            while not wait([outcome], _PULSE_SECONDS).done:
                if self._stop.is_set():
                    raise Stopped
                self._keep()
            return outcome.result()
        finally:
            del outcome  # its error's traceback has this frame, and with it the client that failed: a cycle


def _call(call: Callable[[], Found], outcome: Future[Found]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        outcome.set_exception(error)
    finally:
        del outcome  # as above
