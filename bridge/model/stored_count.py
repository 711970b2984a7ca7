"""The counts of a stored record, which any program may have written."""

_END = 2**62


def stored_count(value: object) -> int | None:
    """Return a plausible count; a damaged one near the largest integer could not be continued."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _END:
        return None
    return int(value)
