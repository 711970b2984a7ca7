"""librdkafka's admin client, destroyed by a thread that waits until nothing else refers to it.

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

    # ``put`` of a SimpleQueue may interrupt itself. It is bound here, because the names of a module
    # are gone at the end of the process.
    def __del__(self, hand_over: Any = _unused.put) -> None:
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
