"""The ownership of a checkpoint for the length of a command."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, runtime_checkable

from bridge.errors import Fenced, Retryable
from bridge.model.membership import Membership
from bridge.pipeline.ports import CheckpointStore

#: A group gives its ownership after its first rebalance, and after the session of a dead member.
_JOIN_SECONDS = 15.0
_UNCHANGED = "The checkpoint is unchanged"


@runtime_checkable
class Group(Protocol):
    """A store whose owner is the member of a group, which needs time to join."""

    def ownership(self) -> Membership:
        """Return the members as they were last read."""


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
    """Become or stay the owner; waits for a group that has no owner.

    Raises:
        Fenced: A bridge owns the checkpoint.
        Retryable: The group has no owner, but did not accept this process in time.
    """
    give_up = time.monotonic() + _JOIN_SECONDS
    while owner := store.acquire():
        if not isinstance(store, Group) or store.ownership().owner is not None:
            raise Fenced(
                f"A bridge is running: {owner}", _UNCHANGED, "Stop the bridge, then try again"
            )
        if time.monotonic() >= give_up:
            raise Retryable(
                f"Nobody owns the checkpoint, but Kafka's group did not accept this process "
                f"within {_JOIN_SECONDS:.0f} s: {owner}",
                _UNCHANGED,
                "Try again",
                part="checkpoint",
            )
