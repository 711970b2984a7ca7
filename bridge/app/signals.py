"""SIGTERM, SIGINT and SIGHUP: the first asks for a clean stop, the second ends the process."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: Written in place of a signal when there was none; no signal has this number.
_LEFT = b"\0"


@contextmanager
def on_stop(request_stop: Callable[[], None]) -> Iterator[None]:
    """Call ``request_stop`` once, on a thread of its own, at the first signal.

    - The interpreter writes each signal to a pipe at once, although Python's handlers run between
      two bytecodes of the main thread, which may be stuck in a call to a disk.
    - After the first signal all have their default action again, so a second one kills.
    - A SIGHUP that ``nohup`` has set to be ignored stays ignored.
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
        if os.read(signalled, 1) != _LEFT:
            request_stop()
        os.close(signalled)

    before = {number: signal.signal(number, handle) for number in numbers}
    woken_before = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    threading.Thread(target=wait, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        with suppress(BrokenPipeError):  # A signal has ended the thread.
            os.write(woken, _LEFT)
        os.close(woken)
