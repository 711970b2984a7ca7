"""Plain numbers of a notifier, for its metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotifierCounts:
    """The numbers at a moment.

    Attributes:
        acknowledged: Messages that Kafka has.
        failed: Calls that raised ``SendFailed``.
        lost: Messages that failed without a caller to raise the error.
        unacknowledged: Messages that wait for Kafka, in flight or queued.
        connected: Whether a producer is open, and no message has been in flight for 10 seconds.
    """

    acknowledged: int
    failed: int
    lost: int
    unacknowledged: int
    connected: bool
