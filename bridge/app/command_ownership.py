"""The ownership of a checkpoint for the length of a command."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bridge.errors import Fenced, Retryable
from bridge.pipeline.ports import CheckpointStore


@contextmanager
def owned(store: CheckpointStore) -> Iterator[None]:
    """Own the checkpoint meanwhile. Raises ``Fenced`` if a bridge owns it."""
    try:
        own(store)
        yield
    finally:
        # Otherwise the next owner waits for the end of the lease or of the session.
        with suppress(Retryable):
            store.release()


def own(store: CheckpointStore) -> None:
    """Become or stay the owner. Raises ``Fenced`` if a bridge owns the checkpoint."""
    if owner := store.acquire():
        raise Fenced(
            f"A bridge is running: {owner}",
            "The checkpoint is unchanged",
            "Stop the bridge, then try again",
        )
