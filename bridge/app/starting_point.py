"""Where a bridge begins: at the stored checkpoint, or at a first one that is stored before anything is read."""

import logging
from dataclasses import replace
from datetime import datetime, timezone

from bridge.clock import Clock
from bridge.errors import Misconfigured, ResumePointLost
from bridge.model.checkpoint import Checkpoint, ClusterIdentity, restored_data_error
from bridge.model.gap import Gap, gap_between, gap_of_all_history
from bridge.model.position import ClusterTime, Position, past_position, position_before
from bridge.model.profile import namespace_of
from bridge.mongo.source import MongoSource
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import Settings, parse_time

logger = logging.getLogger("bridge")


class StartingPoint:
    """Finds the checkpoint to begin with. ``streams`` says whether a change stream is needed."""

    def __init__(
        self,
        settings: Settings,
        source: MongoSource,
        store: CheckpointStore,
        clock: Clock,
        *,
        streams: bool,
    ) -> None:
        self._settings, self._source, self._store, self._clock = settings, source, store, clock
        self._streams = streams
        #: Whether the stored token was made under other stages: it may be refused then, its cluster time is not.
        self.by_time = False

    def checkpoint(self) -> Checkpoint:
        """The checkpoint to begin with, stored. Raises ``CheckpointUnusable`` for one that is of other data."""
        identity = self._source.identity(streams=self._streams)
        if not self._source.exists():
            logger.warning(
                "the collection %s does not exist yet: waiting for its first job",
                namespace_of(self._settings),
            )
        stored = self._store.load()
        return self._first(identity) if stored is None else self._resumed(identity, stored)

    def gap_since(self, position: Position, stored: Checkpoint, error: ResumePointLost) -> Gap:
        """What the stream can no longer tell after ``position``, of which ``stored`` is the latest that is stored. Raises ``error`` where settings say so."""
        margin = self._settings.recovery.margin_seconds
        if self._settings.recovery.on_history_lost == "stop":
            raise error
        return gap_between(
            position,
            self._source.identity().newest,
            margin,
            self._clock.now(),
            stored.delivered_by(margin),
        )

    def _first(self, identity: ClusterIdentity) -> Checkpoint:
        start, now, gap = self._settings.start.from_, identity.newest, None
        position = first_position(start, now)
        if start == "history":
            # The place before it: the stream is then read from ``now`` on, once history is told.
            position = position_before(_before(now.cluster_time))
            gap = gap_of_all_history(now, self._settings.recovery.margin_seconds, self._clock.now())
        checkpoint = identity.first(
            self._store.name, position, self._store.epoch, self._clock.now(), gap
        )
        self._store.save(checkpoint)
        first = "first start: all history is published first" if gap else "first start"
        logger.info("%s", first, extra={"position": str(checkpoint.position)})
        return checkpoint

    def _resumed(self, identity: ClusterIdentity, checkpoint: Checkpoint) -> Checkpoint:
        identity.admit(checkpoint)
        admit_history(self._source, checkpoint)
        start = self._settings.start.from_
        unused = (
            ""
            if start == "now"
            else f"; start.from = {start} is for a first start, which this is not ('job-bridge token clear' makes the next one)"
        )
        logger.info(
            "going on from the checkpoint%s", unused, extra={"position": str(checkpoint.position)}
        )
        self.by_time = checkpoint.fingerprint != identity.fingerprint and bool(
            checkpoint.position.token
        )
        return replace(
            checkpoint, fingerprint=identity.fingerprint, mongo_cluster_id=identity.mongo_cluster_id
        )


def admit_history(source: MongoSource, checkpoint: Checkpoint) -> None:
    """Raise ``CheckpointUnusable`` when the jobs are older than the checkpoint."""
    if checkpoint.delivered is not None and (
        why := source.history.why_older_than(checkpoint.delivered)
    ):
        time = checkpoint.position.cluster_time.isoformat()
        raise restored_data_error(
            why, f". If it was only deleted: 'job-bridge token set {time}' goes on where it was"
        )


def first_position(start: str, now: Position) -> Position:
    """Where ``start.from`` begins to read the stream. Raises ``Misconfigured`` for a time that has not been."""
    position = (
        now
        if start in ("now", "history")
        else past_position(parse_time(start), now, datetime.now(timezone.utc))
    )
    if position is None:
        raise Misconfigured(
            f"start.from = {start} is in the future: MongoDB is at {now.cluster_time.isoformat()}",
            "Nothing was read or sent",
            "Set a time that has been, now or history",
        )
    return position


def _before(time: ClusterTime) -> ClusterTime:
    return ClusterTime(time.seconds - 1) if time.seconds else time
