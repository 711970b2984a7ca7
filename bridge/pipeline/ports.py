"""What the pipeline asks of the world; the rooms ``source``, ``sink`` and ``checkpoint`` provide it."""

from collections.abc import Sequence
from typing import Protocol

from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Message
from bridge.model.transition import Batch
from bridge.model.window import Delivery

#: A message and its place in the window.
Sending = tuple[Message, Delivery]


class Stream(Protocol):
    """Events after a position, in the order they were committed."""

    def read(self) -> Batch | None:
        """The next batch, without waiting; None when there is none yet.

        Batches come in stream order and each position is later than the one before; a batch
        without events moves the position past what was not for us. Raises
        :class:`~bridge.errors.BridgeError` once, after the last good batch.
        """


class Sink(Protocol):
    """Takes messages and tells what became of them."""

    #: True once a message failed: nothing more will be settled, the sink is to be discarded.
    broken: bool

    def most(self, topic: str) -> int:
        """The largest message the topic takes, in bytes; 0 where there is no such topic."""

    def send(self, sendings: Sequence[Sending]) -> None:
        """Hand messages over without waiting for the broker.

        Messages of one key arrive in the order of their sending. Raises ``Retryable`` when broken;
        then it is not known which of them were taken.
        """

    def settled(self) -> Sequence[Delivery]:
        """The deliveries the broker has acknowledged since the last call, each once.

        When there are none any more and a message failed, raises the
        :class:`~bridge.errors.BridgeError` it means, once; the sink is broken then, and nothing that was sent behind that message in its partition is written any more.
        """


class CheckpointStore(Protocol):
    """Keeps one named checkpoint, for one owner at a time."""

    #: The name of the checkpoint, and where it is kept, for messages.
    name: str
    where: str

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before ``acquire`` succeeded."""

    def acquire(self) -> str:
        """Try to become the owner: ``""`` on success, else who is in the way. Raises ``Fenced`` where nobody can stand by."""

    def load(self) -> Checkpoint | None:
        """The stored checkpoint, None when there is none. Raises ``CheckpointUnusable``."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Store durably, and keep the ownership. Raises ``Fenced`` when it is gone."""

    def renew(self) -> None:
        """Keep the ownership. Raises ``Fenced`` when it is gone."""

    def release(self) -> None:
        """Give the ownership back."""

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite or (None) remove the checkpoint by hand; the owner only."""

    def check_rights(self) -> None:
        """Raise what storing would raise for want of rights; changes nothing."""
