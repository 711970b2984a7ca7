"""The last deliveries of a bridge; the loop adds whole batches, without a call for a message."""

from collections import deque
from collections.abc import Sequence

from bridge.model.window import Delivery

#: More than a busy bridge settles between two looks of a reader.
MAX_DELIVERIES = 4096


class RecentDeliveries:
    """Keeps the last settled deliveries. The main thread adds; reading is safe on any thread."""

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque(maxlen=MAX_DELIVERIES)

    def add(self, settled: Sequence[Delivery]) -> None:
        """Add deliveries in the order of their acknowledgements."""
        self._deliveries.extend(settled)

    def after(self, last: Delivery | None) -> tuple[list[Delivery], bool]:
        """Return the deliveries after ``last``, and whether some between are missing.

        Args:
            last: The last one that the reader has; None for a reader that has none yet.
        """
        try:
            if self._deliveries[-1] is last:
                return [], False
        except IndexError:
            return [], False
        deliveries = list(self._deliveries)
        for index in range(len(deliveries) - 1, -1, -1):
            if deliveries[index] is last:
                return deliveries[index + 1 :], False
        return deliveries, last is not None
