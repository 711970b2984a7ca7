"""The owner and the standbys of a checkpoint, for status and metrics."""

from bridge.model.membership import Member
from bridge.model.owner_process import process_text, this_process
from bridge.observability.snapshot import OwnershipState
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import Settings


class Members:
    """Reads the members of a checkpoint as its store last saw them; never waits, on any thread.

    MongoDB's lease and a file's lock show the owner. Kafka's group knows the standbys too; the
    store describes it every few seconds without waiting.
    """

    def __init__(self, settings: Settings, store: CheckpointStore) -> None:
        self._store = store
        self._has_owner = not settings.keeps_no_position
        self._knows_standbys = settings.checkpoint.store != "mongo"

    def state(self) -> OwnershipState | None:
        """Return the members as last known; None where no position is kept."""
        if not self._has_owner:
            return None
        is_us = bool(self._store.epoch)
        known = self._store.ownership()
        if known.is_us != is_us:
            # The ownership has moved since the members were described.
            owner = Member(process_text(this_process())) if is_us else None
            return _state(owner, None, is_us=is_us)
        return _state(known.owner, known.standbys if self._knows_standbys else None, is_us=is_us)


def _state(
    owner: Member | None, standbys: tuple[Member, ...] | None, *, is_us: bool
) -> OwnershipState:
    return OwnershipState(
        owner=owner.name if owner else None,
        since=owner.since if owner else None,
        standbys=None if standbys is None else tuple(member.name for member in standbys),
        is_us=is_us,
    )
