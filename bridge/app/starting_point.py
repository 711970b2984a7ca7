"""Finds where a bridge starts: at the stored checkpoint, or at a new one that it stores first."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from bridge.clock import Clock
from bridge.errors import Misconfigured, ResumePointLost
from bridge.hints import Hint
from bridge.model.checkpoint import Checkpoint
from bridge.model.cluster_identity import ClusterIdentity, restored_data_error
from bridge.model.gap import Gap, gap_between, gap_of_all_history
from bridge.model.position import ClusterTime, Position, past_position, position_before
from bridge.mongo.source import MongoSource
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import Settings, parse_time

logger = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint to start from.

    Attributes:
        checkpoint: As stored.
        other_stages: Whether its token was made under other aggregation stages: MongoDB may refuse
            that token, but not its cluster time.
    """

    checkpoint: Checkpoint
    other_stages: bool = False

    def opens_by_time(self, position: Position) -> bool:
        """Return whether a stream that starts at ``position`` is opened by its cluster time."""
        return self.other_stages and position == self.checkpoint.position


class StartingPoint:
    """Finds the checkpoint to start from."""

    def __init__(
        self, settings: Settings, source: MongoSource, store: CheckpointStore, *, clock: Clock
    ) -> None:
        self._settings = settings
        self._source = source
        self._store = store
        self._clock = clock

    def find(self) -> Start:
        """Return the checkpoint to start from; a new one is stored before anything is read.

        Raises:
            CheckpointUnusable: The stored checkpoint belongs to other data.
        """
        identity = self._source.identity(streams=not self._settings.keeps_no_position)
        stored = self._store.load()
        return self._first(identity) if stored is None else self._resumed(identity, stored)

    def gap_since(self, position: Position, stored: Checkpoint, error: ResumePointLost) -> Gap:
        """Return the gap after ``position`` that the stream can no longer deliver.

        Raises:
            ResumePointLost: ``error`` itself, when the settings say stop.
        """
        margin = self._settings.recovery_margin
        if self._settings.recovery.on_history_lost == "stop":
            raise error
        newest = self._source.identity().newest
        return gap_between(position, newest, margin, self._clock.now(), stored.delivered_by(margin))

    def _first(self, identity: ClusterIdentity) -> Start:
        start = self._settings.start.from_
        newest, now = identity.newest, self._clock.now()
        position = first_position(start, newest)
        gap = None
        if start == "history":
            # Just before the newest write: the stream delivers that write after the history.
            position = position_before(_before(newest.cluster_time))
            gap = gap_of_all_history(newest, self._settings.recovery_margin, now)
        first = identity.first(self._store.name, position, self._store.epoch, now, gap)
        at_present = start == "now"
        checkpoint = replace(
            first,
            clean=at_present,
            unconfirmed=at_present and not self._store.cleared,
        )
        self._store.save(checkpoint)
        logger.info(
            "%s",
            "first start: the whole history is published first" if gap else "first start",
            extra={"position": str(checkpoint.position)},
        )
        return Start(checkpoint)

    def _resumed(self, identity: ClusterIdentity, checkpoint: Checkpoint) -> Start:
        identity.admit(checkpoint)
        admit_history(self._source, checkpoint)
        start = self._settings.start.from_
        unused = (
            ""
            if start == "now"
            else f"; start.from = {start} is not used: there is a checkpoint already "
            f"(after '{Hint.TOKEN_CLEAR}' the next start uses it)"
        )
        position = checkpoint.position
        logger.info("resuming from the checkpoint%s", unused, extra={"position": str(position)})
        present = replace(
            checkpoint,
            fingerprint=identity.fingerprint,
            mongo_cluster_id=identity.mongo_cluster_id,
        )
        other_stages = checkpoint.fingerprint != identity.fingerprint and bool(position.token)
        return Start(present, other_stages)


def admit_history(source: MongoSource, checkpoint: Checkpoint) -> None:
    """Raise ``CheckpointUnusable`` when the jobs are older than the checkpoint."""
    if checkpoint.delivered is None:
        return
    if why := source.history.why_older_than(checkpoint.delivered):
        time = checkpoint.position.cluster_time.isoformat()
        resume = Hint.TOKEN_SET_TIME.with_value(time)
        raise restored_data_error(
            why, f". If that job was only deleted, '{resume}' resumes where it was"
        )


def first_position(start: str, newest: Position) -> Position:
    """Return where ``start.from`` starts to read the stream.

    Raises:
        Misconfigured: A time in the future.
    """
    if start in ("now", "history"):
        return newest
    position = past_position(parse_time(start), newest, datetime.now(timezone.utc))
    if position is None:
        raise Misconfigured(
            f"start.from = {start} is in the future: "
            f"MongoDB is at {newest.cluster_time.isoformat()}",
            "Nothing was read or sent",
            "Set a time in the past, now or history",
        )
    return position


def _before(time: ClusterTime) -> ClusterTime:
    return ClusterTime(time.seconds - 1) if time.seconds else time
