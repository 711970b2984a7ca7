"""The protocols that the pipeline needs; ``mongo``, ``kafka`` and ``checkpoint`` implement them."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from bridge.model.checkpoint import Checkpoint
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.membership import Membership
from bridge.model.message import Record
from bridge.model.transition import Batch, Poison, Transition
from bridge.model.window import Delivery, Sending

T_co = TypeVar("T_co", covariant=True)

Items = Sequence[Transition | Poison]


class Stream(Protocol):
    """Delivers the events after a position, in the order of their commits."""

    def read(self) -> Batch | None:
        """Return the next batch; None while there is nothing new. Never waits for a server.

        Batches come in stream order and each position is later than the last. A batch
        without events moves the position past entries that concern no job.

        Raises:
            BridgeError: Once, after the last good batch.
        """


class Sink(Protocol):
    """Accepts messages and reports their acknowledgements."""

    @property
    def broken(self) -> bool:
        """True once a message failed: the sink settles nothing more and is to be discarded."""

    def max_message_bytes(self, topic: str) -> int:
        """Return the largest message that the topic accepts; 0 when the topic does not exist."""

    def send(self, sendings: Sequence[Sending]) -> None:
        """Hand messages over, without waiting for a broker for more than a millisecond.

        Messages with the same key arrive in the order in which they were sent.

        Raises:
            BridgeError: The meaning of the client's refusal; ``Retryable`` when the sink is broken.
                Some of the messages may have been accepted.
        """

    def settled(self) -> Sequence[Delivery]:
        """Return the deliveries acknowledged since the last call, each once.

        Raises:
            BridgeError: Once, when a message failed and no acknowledgement is left to return. The
                sink is broken then, and writes no later message of that partition.
        """


class AcknowledgedOffsets(Protocol):
    """The sink of a driver, which knows where its messages are in the topic."""

    @property
    def topic_id(self) -> str:
        """Kafka's id of the topic; empty if the broker has no ids."""

    def offsets(self) -> Mapping[int, int]:
        """Return the offset after the latest acknowledged message of the topic, by partition.

        Only partitions of which this sink had an acknowledgement are in it.
        """


class TailReader(Protocol):
    """Reads the messages that may have been sent after a checkpoint.

    Attributes:
        ends: The offset after the last record that was read, by partition; complete at the end.
    """

    ends: Mapping[int, int]

    def read_from(
        self, topic: str, offsets: Mapping[int, int], since: float | None
    ) -> Iterator[Sequence[Record]]:
        """Deliver the committed records up to the end at this moment.

        It may deliver fewer: it ends at an open transaction, and records may have been removed.

        Args:
            topic: The topic.
            offsets: Where to start, by partition.
            since: Where to start in other partitions: Unix seconds; None for the beginning.

        Raises:
            BridgeError: ``NotPermitted`` if this user may not read the topic.
        """

    def latest(self, topic: str, count: int) -> Sequence[Record]:
        """Return about the last ``count`` committed records of each partition."""


class Reader(Protocol):
    """Reads a topic without a consumer group; leaves no trace."""

    def count(self, topic: str, since: float | None) -> int:
        """Estimate how many records ``read`` delivers.

        Offsets count the markers of transactions, and the records of aborted ones, too.
        """

    def read(self, topic: str, since: float | None) -> Iterator[Sequence[Record]]:
        """Deliver the committed records from ``since`` to the end at this moment.

        Records that are written meanwhile may follow.

        Args:
            topic: The topic.
            since: Unix seconds; None for the beginning.

        Returns:
            Parts of the topic; records are in order within their partition.

        Raises:
            BridgeError: ``Misconfigured`` when the topic does not exist.
        """

    def kept_since(self, topic: str, retention_start: float | None = None) -> float | None:
        """Return the time from which on the topic is complete, in Unix seconds.

        Raises the bridge's errors.

        Args:
            topic: The topic.
            retention_start: Older records may have been removed by the topic's retention; None if
                that is not known. It counts for a partition that has lost records and contains no
                message of a transition.

        Returns:
            None when nothing was ever removed, or when it is not known since when.
        """


class Tags(Protocol):
    """The fields in MongoDB that mark transitions as unsent."""

    def clear(self, items: Items) -> None:
        """Remove the tags of ``items`` where the document still contains the sent transition.

        Raises the bridge's errors.
        """

    def earlier(self, items: Items) -> Mapping[str, Items]:
        """Return the tagged transitions before ``items`` in their histories, by job id."""

    def pending(self, before: float) -> Iterator[Items]:
        """Deliver the tagged transitions older than ``before`` (Unix seconds), job by job.

        The transitions of a job are in order. Documents are read as they are needed.
        """


class Tagger(Protocol):
    """Sets tags where the service does not."""

    def put(self, items: Items) -> None:
        """Tag the jobs of ``items``. Raises the bridge's errors."""


class SlowReader(Protocol[T_co]):
    """Reads an iterator on a thread of its own, a part at a time."""

    @property
    def ended(self) -> bool:
        """True once ``poll`` has returned the last part."""

    def poll(self, max_items: int) -> Sequence[T_co] | None:
        """Return the next part, of at most ``max_items``; None while it is being read.

        Raises the error of the iterator, once.
        """


class SlowCall(Protocol[T_co]):
    """Makes a call on a thread of its own; the first ``poll`` starts it."""

    def poll(self) -> T_co | None:
        """Return the result; None while the call is being made. Raises the error of the call."""


class BackgroundReaders(Protocol):
    """Makes slow readers."""

    def reader(self, source: Iterator[T_co]) -> SlowReader[T_co]:
        """Return a reader of ``source``, which nothing else may read."""


class CheckpointStore(Protocol):
    """Keeps a named checkpoint, for a single owner at a time.

    Every method may raise ``Retryable`` when the store is unreachable, ``NotPermitted`` when it
    refuses us, and ``Misconfigured`` when its settings do not work.

    A checkpoint that vanishes while it is owned is stored again from memory, by the next ``load``,
    ``save`` or ``renew``.
    """

    #: The name of the checkpoint, and where it is kept, for messages.
    name: str
    where: str

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before ``acquire`` succeeded."""

    @property
    def cleared(self) -> bool:
        """Whether the checkpoint was removed on purpose, as ``acquire`` or ``load`` last read it.

        It stays so until the next ``save``. False if there never was a checkpoint.
        """

    def acquire(self) -> str:
        """Try to become the owner.

        Returns:
            An empty text on success, else the present owner in words.

        Raises:
            Fenced: The store does not support a standby.
        """

    def load(self) -> Checkpoint | None:
        """Return the stored checkpoint, None before the first. Raises ``CheckpointUnusable``."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Store durably and renew the ownership.

        A save whose sequence is not greater than the stored sequence changes nothing.

        Raises:
            Fenced: Another bridge owns the checkpoint.
        """

    def renew(self) -> None:
        """Renew the ownership. Raises ``Fenced`` when another owns it."""

    def release(self) -> None:
        """Give the ownership back."""

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite the checkpoint by hand, or remove it (None); for the owner only.

        It continues the stored sequence, so that the position may move back.
        """

    def remove(self) -> None:
        """Remove the name from the store, and end the ownership; for the owner only.

        Unlike ``replace(None)`` it leaves no sign that the checkpoint was removed on purpose.
        """

    def entries(self) -> Sequence[CheckpointEntry]:
        """Return the checkpoints of all names in this store."""

    def ownership(self) -> Membership:
        """Return the owner and the standbys, as the store last saw them in its own work.

        Never waits for a server, and may be called on any thread.
        """

    def check_rights(self) -> None:
        """Raise the error that a save would raise for missing rights; changes nothing."""


class Transactions(Protocol):
    """A checkpoint store whose checkpoint can be part of the transaction of a sink.

    The sink starts a transaction with the first message after a commit. Once a method or a commit
    has failed, the transaction is never committed by this process, except for a commit whose
    outcome is unknown: what is stored decides then.
    """

    def stage(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint to the transaction; it is stored when the messages become visible.

        Raises:
            BridgeError: The transaction failed.
        """

    def commit(self) -> Future[None]:
        """Start to commit the transaction, without waiting.

        It is committed after all of its messages are acknowledged, and never if one failed.

        Returns:
            It is done within a deadline, and raises the bridge's errors.
        """
