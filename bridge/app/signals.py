"""SIGTERM, SIGINT and SIGHUP: the first asks for a clean stop, the second ends the process at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def on_stop(callback: Callable[[], None]) -> Iterator[None]:
    """Call ``callback`` once, on a thread of its own, when the first signal comes.

    The handler itself only puts into a ``SimpleQueue`` (which is re-entrant): it runs between two
    bytecodes of the main thread, which may hold the very lock the callback needs. After the first
    signal all have their default action again, so a second one kills. A SIGHUP that ``nohup`` has
    made to be ignored is ignored.
    """
    numbers = [
        each
        for each in _SIGNALS
        if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN
    ]
    asked: SimpleQueue[bool] = SimpleQueue()

    def handle(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        asked.put(True)

    def wait() -> None:
        if asked.get():
            callback()

    before = {number: signal.signal(number, handle) for number in numbers}
    waiter = threading.Thread(target=wait, name="signals", daemon=True)
    waiter.start()
    try:
        yield
    finally:
        asked.put(False)
        for number, old in before.items():
            signal.signal(number, old)
