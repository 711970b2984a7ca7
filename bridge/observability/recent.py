"""The last deliveries of a bridge; the loop adds whole batches, without a call for a message."""

from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from bridge.model.window import Delivery

#: More than a busy bridge settles between two looks of a reader.
MAX_DELIVERIES = 4096
#: Of the deliveries' transitions; a batch of a single one may be larger.
MAX_BYTES = 8_000_000


class _Batch(NamedTuple):
    deliveries: Sequence[Delivery]
    bytes: int


class RecentDeliveries:
    """Keeps the last settled deliveries. The main thread adds; reading is safe on any thread."""

    def __init__(self) -> None:
        self._batches: deque[_Batch] = deque()
        self._count = 0
        self._bytes = 0

    def add(self, settled: Sequence[Delivery]) -> None:
        """Add deliveries, at least one, in the order of their acknowledgements."""
        size = sum([delivery.size for delivery in settled])
        if len(settled) > MAX_DELIVERIES or size > MAX_BYTES:
            settled, size = _newest(settled)
        self._batches.append(_Batch(settled, size))
        self._count += len(settled)
        self._bytes += size
        while (self._count > MAX_DELIVERIES or self._bytes > MAX_BYTES) and len(self._batches) > 1:
            oldest = self._batches.popleft()
            self._count -= len(oldest.deliveries)
            self._bytes -= oldest.bytes

    def after(self, last: Delivery | None) -> tuple[list[Delivery], bool]:
        """Return the deliveries after ``last``, and whether some between are missing.

        Args:
            last: The last one that the reader has; None for a reader that has none yet.
        """
        try:
            if self._batches[-1].deliveries[-1] is last:
                return [], False
        except IndexError:
            return [], False
        batches = list(self._batches)
        deliveries = [*chain.from_iterable(batch.deliveries for batch in batches)]
        for index in range(len(deliveries) - 1, -1, -1):
            if deliveries[index] is last:
                return deliveries[index + 1 :], False
        return deliveries, last is not None


def _newest(settled: Sequence[Delivery]) -> tuple[Sequence[Delivery], int]:
    """Return the last deliveries of a batch that may be kept, at least one, and their bytes."""
    kept, size = 0, 0
    for delivery in reversed(settled[-MAX_DELIVERIES:]):
        if kept and size + delivery.size > MAX_BYTES:
            break
        kept, size = kept + 1, size + delivery.size
    return settled[-kept:], size
