"""librdkafka's clients, destroyed only by a thread that waits for them.

librdkafka aborts the process if a client's own thread destroys it. The futures of an admin client
end on such a thread, and there the garbage collector may free that client if it is in a cycle of
references, as the traceback of an error easily makes one.
"""

import threading
from functools import cache
from queue import SimpleQueue
from typing import Any

import confluent_kafka
import confluent_kafka.admin

#: The clients that nothing refers to any more.
_unused: SimpleQueue[object] = SimpleQueue()


class _Client:
    """Hands a client over when nothing refers to it any more, on whatever thread that is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        _start_destroying()
        super().__init__(*arguments, **options)

    # ``put`` of a SimpleQueue may interrupt itself. It is bound here, because the names of a module
    # are gone at the end of the process.
    def __del__(self, hand_over: Any = _unused.put) -> None:
        hand_over(self)


class Producer(_Client, confluent_kafka.Producer):
    """A producer."""


class Consumer(_Client, confluent_kafka.Consumer):
    """A consumer."""


class AdminClient(_Client, confluent_kafka.admin.AdminClient):
    """An admin client. Its futures end on a thread of its own."""


@cache
def _start_destroying() -> None:
    threading.Thread(target=_destroy, name="destroy-clients", daemon=True).start()


def _destroy() -> None:
    while True:
        _unused.get()  # its last reference
