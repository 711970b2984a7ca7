"""Signals: the first to stop asks for a clean stop, the second ends the process.

SIGUSR1 and SIGUSR2 start and end a pause, where there is something to pause.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PAUSE_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
#: Written in place of a signal when there was none; no signal has this number.
_LEFT = 0
#: Signals that were pending together are written one after the other, within much less.
_TOGETHER_SECONDS = 0.05
_READ_BYTES = 4096


class Pausable(Protocol):
    """Work that can be paused; both methods return at once."""

    def start(self) -> None:
        """Ask for a pause."""

    def end(self) -> None:
        """Ask for the end of the pause."""


@contextmanager
def on_stop(request_stop: Callable[[], None], pause: Pausable | None = None) -> Iterator[None]:
    """Call ``request_stop`` once, on a thread of its own, at the first signal to stop.

    - The interpreter writes each signal to a pipe at once, although Python's handlers run between
      two bytecodes of the main thread, which may be stuck in a call to a disk.
    - Of SIGUSR1 and SIGUSR2 that arrive together, SIGUSR2 counts: the work goes on.
    - After the first signal to stop, those have their default action again: a second one kills.
    - A SIGHUP that ``nohup`` has set to be ignored stays ignored.

    Args:
        request_stop: Asks for the stop.
        pause: Started by SIGUSR1 and ended by SIGUSR2; without it both have their default action.
    """
    numbers = [
        number
        for number in _SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
    signalled, woken = os.pipe()
    os.set_blocking(woken, False)

    def handle(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)

    def wait() -> None:
        requested = False
        while _LEFT not in (arrived := _arrived(signalled)):
            for number in arrived:
                if pause and number in _PAUSE_SIGNALS:
                    (pause.start if number == signal.SIGUSR1 else pause.end)()
                elif not requested:
                    requested = True
                    request_stop()
        os.close(signalled)

    before = {number: signal.signal(number, handle) for number in numbers}
    if pause:
        before |= {number: signal.signal(number, _note) for number in _PAUSE_SIGNALS}
    woken_before = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    threading.Thread(target=wait, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(woken, bytes([_LEFT]))
        os.close(woken)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the interpreter has written the signal to the pipe."""


def _arrived(signalled: int) -> list[int]:
    """Wait for signals; return those that arrive together, by their numbers.

    Their order is not known: of pending signals, the handler of the higher number is called first.
    """
    select.select([signalled], [], [])
    time.sleep(_TOGETHER_SECONDS)
    return sorted(set(os.read(signalled, _READ_BYTES)))
