"""What the pipeline asks of the world; the rooms ``source``, ``sink`` and ``checkpoint`` provide it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Record
from bridge.model.transition import Batch, Poison, Transition
from bridge.model.window import Delivery, Sending


class Stream(Protocol):
    """Events after a position, in the order they were committed."""

    def read(self) -> Batch | None:
        """The next batch; None when there is none yet: nothing that may take long is waited for.

        Batches come in stream order and each position is later than the one before; a batch
        without events moves the position past what was not for us. Raises
        :class:`~bridge.errors.BridgeError` once, after the last good batch.
        """


class Sink(Protocol):
    """Takes messages and tells what became of them."""

    @property
    def broken(self) -> bool:
        """True once a message failed: nothing more will be settled, the sink is to be discarded."""

    def max_message_bytes(self, topic: str) -> int:
        """The largest message the topic takes, in bytes; 0 where there is no such topic."""

    def send(self, sendings: Sequence[Sending]) -> None:
        """Hand messages over; waits for no answer of a broker, or a millisecond at most.

        Messages of one key arrive in the order of their sending. Raises what the client's refusal means, any of the bridge's errors,
        and ``Retryable`` when broken; then it is not known which of them were taken.
        """

    def settled(self) -> Sequence[Delivery]:
        """The deliveries the broker has acknowledged since the last call, each once.

        When there are none any more and a message failed, raises the
        :class:`~bridge.errors.BridgeError` it means, once; the sink is broken then, and nothing that was sent behind that message in its partition is written any more.
        """


class Reader(Protocol):
    """Reads a topic back; belongs to no group and leaves no trace."""

    def count(self, topic: str, since: float | None) -> int:
        """How many records ``read`` would give, about."""

    def read(self, topic: str, since: float | None) -> Iterator[Sequence[Record]]:
        """All records from ``since`` (Unix seconds; None: the beginning) to the end at this moment, committed ones only.

        Each partition in its order, as they come. Raises the bridge's errors, ``Misconfigured`` where there is no such topic.
        """

    def kept_since(self, topic: str) -> float | None:
        """From when on nothing was removed from the topic yet (Unix seconds); None when nothing ever was.

        A partition from which everything was removed tells nothing of when, and has no say. Raises the bridge's errors.
        """


class Tags(Protocol):
    """What says, in the database itself, which transitions are still to be sent."""

    def clear(self, items: Sequence[Transition | Poison]) -> None:
        """Take the tags of these off, as far as they are still what was sent. Raises the bridge's errors."""

    def earlier(
        self, items: Sequence[Transition | Poison]
    ) -> Mapping[str, Sequence[Transition | Poison]]:
        """By job, what is tagged and lies before these in its history; a job without anything is left out."""

    def pending(self, before: float) -> Iterator[Sequence[Transition | Poison]]:
        """What is tagged and older than ``before`` (Unix seconds): a job's together, in order; read as it is asked for."""


class Tagger(Protocol):
    """Sets tags where the service does not."""

    def put(self, items: Sequence[Transition | Poison]) -> None:
        """Tag the jobs of these. Raises the bridge's errors."""


class CheckpointStore(Protocol):
    """Keeps one named checkpoint, for one owner at a time.

    Each call may raise ``Retryable`` where the store is out of reach, ``NotPermitted`` where it refuses us, and
    ``Misconfigured`` where its settings do not work.
    """

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
