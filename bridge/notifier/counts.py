"""Plain numbers of a notifier, for its metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotifierCounts:
    """The numbers at a moment.

    Attributes:
        acknowledged: Messages that Kafka has.
        failed: Calls that raised ``SendFailed``.
        lost: Messages given up in mode fire-and-forget.
        unacknowledged: Messages that wait for Kafka, in flight or queued.
        connected: Whether a producer is open.
    """

    acknowledged: int
    failed: int
    lost: int
    unacknowledged: int
    connected: bool
