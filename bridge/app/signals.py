"""SIGTERM, SIGINT and SIGHUP: the first asks for a clean stop, the second ends the process."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def on_stop(request_stop: Callable[[], None]) -> Iterator[None]:
    """Call ``request_stop`` once, on a thread of its own, at the first signal.

    - The handler only puts into a ``SimpleQueue``, which is re-entrant: it runs between two
      bytecodes of the main thread, which may hold the very lock that ``request_stop`` needs.
    - After the first signal all have their default action again, so a second one kills.
    - A SIGHUP that ``nohup`` has set to be ignored stays ignored.
    """
    numbers = [
        number
        for number in _SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
    signalled: SimpleQueue[bool] = SimpleQueue()

    def handle(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        signalled.put(True)

    def wait() -> None:
        if signalled.get():
            request_stop()

    before = {number: signal.signal(number, handle) for number in numbers}
    threading.Thread(target=wait, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signalled.put(False)
        for number, handler in before.items():
            signal.signal(number, handler)
