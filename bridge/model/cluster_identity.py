"""The identity of the data that a bridge reads, compared with that of its checkpoint."""

from dataclasses import dataclass

from bridge.errors import CheckpointUnusable
from bridge.hints import Hint
from bridge.model.checkpoint import UNCHANGED, Checkpoint
from bridge.model.gap import Gap
from bridge.model.position import ClusterTime, Position, position_past


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """The collection, cluster and settings that a checkpoint of this bridge must belong to.

    ``cluster_time`` is the time of the cluster's last write.
    """

    namespace: str
    mongo_cluster_id: str
    fingerprint: str
    cluster_time: ClusterTime

    @property
    def newest(self) -> Position:
        """The position after all writes.

        A majority may not have all of them yet; a reader of the history waits until it has.
        """
        return position_past(self.cluster_time)

    def admit(self, checkpoint: Checkpoint) -> None:
        """Raise ``CheckpointUnusable`` if the checkpoint is of another collection or cluster."""
        admit_namespace(checkpoint, self.namespace)
        if not _same_cluster(checkpoint.mongo_cluster_id, self.mongo_cluster_id):
            raise restored_data_error(
                f"belongs to MongoDB cluster {checkpoint.mongo_cluster_id}, "
                f"but this cluster is {self.mongo_cluster_id}"
            )
        # Compared by seconds, because a first position is one tick after the newest write.
        if checkpoint.position.cluster_time.seconds > self.cluster_time.seconds:
            raise restored_data_error(
                f"is at {checkpoint.position.cluster_time.isoformat()}, "
                f"later than this cluster's last write at {self.cluster_time.isoformat()}"
            )

    def first(
        self, name: str, position: Position, epoch: int, saved_at: float, gap: Gap | None = None
    ) -> Checkpoint:
        """Make the first checkpoint of a bridge."""
        return Checkpoint(
            name,
            position,
            0,
            epoch,
            self.fingerprint,
            self.namespace,
            self.mongo_cluster_id,
            saved_at=saved_at,
            gap=gap,
        )


def admit_namespace(checkpoint: Checkpoint, namespace: str) -> None:
    """Raise ``CheckpointUnusable`` if the checkpoint is of another collection.

    The remedy leaves that position alone, because another bridge may resume from it.
    """
    if checkpoint.namespace != namespace:
        raise CheckpointUnusable(
            f"The stored checkpoint '{checkpoint.name}' belongs to {checkpoint.namespace}, "
            f"but this bridge reads {namespace}",
            UNCHANGED,
            "Give this bridge its own checkpoint.name, and its own checkpoint.file if it has one; "
            "start.from then decides where it starts",
        )


def _same_cluster(stored: str, present: str) -> bool:
    """Compare ``set/id``: by the id if both have it; a user may lack the right to read it."""
    stored_set, _, stored_id = stored.partition("/")
    present_set, _, present_id = present.partition("/")
    if stored_id and present_id:
        return stored_id == present_id
    return stored_set == present_set


def restored_data_error(reason: str, otherwise: str = "") -> CheckpointUnusable:
    """Make the error for data that is not the data that the checkpoint was made from.

    It names two commands, because only an operator knows which is right.

    Args:
        reason: The difference; it follows "The stored checkpoint".
        otherwise: Another possible cause, with the command for it.
    """
    return CheckpointUnusable(
        f"The stored checkpoint {reason}: the data was restored from a backup, "
        "or it is the data of another cluster",
        UNCHANGED,
        f"To keep this data and publish only new transitions: '{Hint.TOKEN_SET_NOW}'. "
        "To publish all transitions in its jobs, including those that Kafka already has: "
        f"'{Hint.TOKEN_CLEAR}', then '{Hint.RUN_FROM_HISTORY}'. "
        "If it is another cluster by mistake, correct mongo.uri; "
        f"if on purpose, give the bridge its own checkpoint.name{otherwise}",
    )
