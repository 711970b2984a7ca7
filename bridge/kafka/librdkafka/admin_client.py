"""librdkafka's admin client, which is never destroyed on a thread of its own.

The futures of an admin client end on a thread of that client. If the last reference goes there,
librdkafka aborts the process, because a client may not destroy itself on its own thread. That
happens when Python's garbage collector runs in a future's callback, and finds the client in a cycle
of references, as the traceback of an error easily makes one.
"""

import sys
import threading
import time
from functools import cache
from queue import SimpleQueue
from typing import Any

import confluent_kafka.admin

#: The clients that nothing refers to any more.
_unused: SimpleQueue[object] = SimpleQueue()
#: The references of the thread that destroys a client: its variable, and the argument of the count.
_OWN_REFERENCES = 2
_PAUSE_SECONDS = 0.05


class AdminClient(confluent_kafka.admin.AdminClient):
    """An admin client that may be dropped on any thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        _start_destroying()
        super().__init__(*arguments, **options)

    # The names are bound here, because those of a module are gone at the end of the process. The
    # ``put`` of a SimpleQueue may interrupt itself.
    def __del__(
        self,
        current_thread: Any = threading.current_thread,
        foreign: Any = threading._DummyThread,
        hand_over: Any = _unused.put,
    ) -> None:
        """Hand the client over on a thread that Python did not start."""
        if isinstance(current_thread(), foreign):
            hand_over(self)


@cache
def _start_destroying() -> None:
    threading.Thread(target=_destroy, name="destroy-clients", daemon=True).start()


def _destroy() -> None:
    while True:
        client = _unused.get()
        # The collector refers to it until it has returned from ``__del__``.
        while sys.getrefcount(client) > _OWN_REFERENCES:
            time.sleep(_PAUSE_SECONDS)
        del client
