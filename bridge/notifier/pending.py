"""A message that a caller may wait for."""

import threading
from collections.abc import Callable

from bridge.errors import BridgeError, MessageTooLarge
from bridge.model.message import Message
from bridge.model.window import Delivery


class PendingMessage:
    """A message that is not answered yet.

    Attributes:
        awaited: Whether a caller waits for the answer.
        done: Set when it is acknowledged or has failed.
        error: Why it failed.
        handed_over: Whether the producer has it: Kafka may then have it too.
        on_answer: Called by the producer's thread, after ``done`` is set.
    """

    __slots__ = ("awaited", "delivery", "done", "error", "handed_over", "message", "on_answer")

    def __init__(self, message: Message, delivery: Delivery, *, awaited: bool) -> None:
        self.awaited = awaited
        self.message = message
        self.delivery = delivery
        self.done = threading.Event()
        self.error: BridgeError | None = None
        self.handed_over = False
        self.on_answer: Callable[[], object] | None = None

    def answer(self, error: BridgeError | None = None) -> None:
        """Note that it is acknowledged, or that it failed."""
        self.error = error
        self.done.set()
        if self.on_answer is not None:
            self.on_answer()

    def too_large(self, max_bytes: int) -> MessageTooLarge | None:
        """Return the error if a topic that accepts ``max_bytes`` can never accept it."""
        size, item = self.delivery.size, self.delivery.item
        if size <= max_bytes or item is None:
            return None
        return MessageTooLarge(
            f"Job {item.job_id:.100}, state {item.state:.100}: the message has {size} bytes, but "
            f"the topic {self.message.topic} accepts {max_bytes}",
            "Kafka does not have the message, and sending it again cannot succeed",
            "Shorten the message, or raise the topic's max.message.bytes",
        )
