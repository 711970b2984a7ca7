"""Waiting, and doing what may take long: meanwhile a stop is heard, and the checkpoint stays ours."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, ExitStack
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from bridge.clock import Clock

#: How soon a stop is heard.
_PULSE_SECONDS = 0.25

Asked = ParamSpec("Asked")
Found = TypeVar("Found")


class Stopped(Exception):
    """A stop was asked for while something took long."""


class Background:
    """``keep`` is called four times a second meanwhile; it raises what ends the wait. ``wake`` is set when a ``later`` call is done."""

    def __init__(
        self, stop: threading.Event, wake: threading.Event, clock: Clock, keep: Callable[[], None]
    ) -> None:
        self._stop, self._wake, self._clock, self._keep = stop, wake, clock, keep
        self._under_way: Future[Any] | None = None

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass, fewer when a stop is asked for.

        Garbage is collected first: a Kafka client that failed leaves threads and sockets in reference cycles.
        """
        gc.collect()
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0 and not self._stop.wait(
            min(left, _PULSE_SECONDS)
        ):
            self._keep()

    def enter(self, stack: ExitStack, part: AbstractContextManager[Found]) -> Found:
        """Enter ``part`` on a thread of its own, to be left with ``stack``. Raises what it raises, :class:`Stopped` when asked to stop."""
        return self.do(lambda: stack.enter_context(part))

    def do(self, call: Callable[[], Found]) -> Found:
        """Call on a thread of its own. Raises what it raises, and :class:`Stopped`: what is half done then ends with the process."""
        outcome = _begun(call)
        try:
            while not wait([outcome], _PULSE_SECONDS).done:
                if self._stop.is_set():
                    raise Stopped
                self._keep()
            return outcome.result()
        finally:
            del (
                outcome
            )  # its error's traceback has this frame, and with it the client that failed: a cycle

    def later(self, call: Callable[Asked, Found]) -> Callable[Asked, Found | None]:
        """What gives the outcome of ``call``, or raises it, once; None until it is there. It is begun, on a thread of its own, when first asked for.

        One such call at a time; whoever asks no more waits for it with ``finish``.
        """
        outcome: Future[Found] | None = None

        def found(*asked: Asked.args, **by_name: Asked.kwargs) -> Found | None:
            nonlocal outcome
            if outcome is None:
                outcome = self._under_way = _begun(lambda: call(*asked, **by_name))
                outcome.add_done_callback(lambda _: self._wake.set())
            if not outcome.done():
                return None
            done, outcome, self._under_way = outcome, None, None
            try:
                return done.result()
            finally:
                del done  # as above

        return found

    def taking(self, source: Iterator[Found]) -> Callable[[int], list[Found] | None]:
        """What gives the next ones of ``source``, so many at most, each part as ``later`` does. Nobody else may read ``source``."""

        def part(most: int, /) -> list[Found]:
            return list(islice(source, most))

        return self.later(part)

    def finish(self) -> None:
        """Wait for a ``later`` call that nobody asks for any more, until a stop is asked for; what it says is lost."""
        while (
            self._under_way is not None
            and not self._stop.is_set()
            and not wait([self._under_way], _PULSE_SECONDS).done
        ):
            self._keep()
        self._under_way = None


def _begun(call: Callable[[], Found]) -> Future[Found]:
    outcome = Future[Found]()
    threading.Thread(target=_call, args=(call, outcome), name="waited-for", daemon=True).start()
    return outcome


def _call(call: Callable[[], Found], outcome: Future[Found]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        outcome.set_exception(error)
    finally:
        del outcome  # as above
