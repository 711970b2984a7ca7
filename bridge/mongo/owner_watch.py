"""Decides on the clock of this process whether the owner of a lease still renews it."""

from bridge.clock import Clock


class OwnerWatch:
    """Watches whether an ownership changes; no wall clock takes part.

    Time counts only between two reads, and each pause between them counts for at most a quarter of
    the lease. After a pause of the store or of this process the owner therefore has time to renew.

    Args:
        lease_seconds: How long an ownership must stay unchanged to be silent.
        clock: Only its monotonic seconds are used.
    """

    def __init__(self, lease_seconds: float, clock: Clock) -> None:
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._ownership: object = None
        self._watching = False
        self._read_at = 0.0
        self._unchanged_seconds = 0.0

    @property
    def silent(self) -> bool:
        """Whether the ownership stayed unchanged for the length of the lease."""
        return self._watching and self._unchanged_seconds >= self._lease_seconds

    def restart(self) -> None:
        """Start again, because the store could not be read."""
        self._watching = False

    def observe(self, ownership: object) -> None:
        """Note the ownership that was read just now."""
        now = self._clock.monotonic()
        if self._watching and ownership == self._ownership:
            pause = now - self._read_at
            self._unchanged_seconds += min(pause, self._lease_seconds / 4)
        else:
            self._unchanged_seconds = 0.0
        self._watching = True
        self._ownership = ownership
        self._read_at = now
