"""Who owns the checkpoint, and who stands by, for status and metrics."""

import logging

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import process_text, this_process
from bridge.observability.snapshot import OwnershipState
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import Settings

logger = logging.getLogger("bridge")

#: An answer of Kafka's coordinator that is older than this says nothing about the present.
ANSWER_SECONDS = 20.0


class Members:
    """Notes the members of a checkpoint.

    MongoDB's lease and a file's lock show the owner as the bridge last read or wrote them. Kafka
    knows the standbys too, and has to be asked: :meth:`ask` belongs to a probe's thread.
    :meth:`state` may be called on any thread and never waits.
    """

    def __init__(self, settings: Settings, store: CheckpointStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._has_owner = not settings.keeps_no_position
        self._asks = self._has_owner and settings.checkpoint.store == "kafka"
        self._knows_standbys = settings.checkpoint.store != "mongo"
        #: The latest answer, and when it arrived, in monotonic seconds.
        self._answer: tuple[Membership, float] | None = None

    def ask(self) -> None:
        """Ask Kafka for the members, where it has them.

        A refusal or a silence is no failure of the bridge: the members are then unknown.
        """
        if not self._asks:
            return
        try:
            membership = self._store.ownership()
        except BridgeError as error:
            logger.debug("the members of the checkpoint are not known: %s", error)
            return
        self._answer = membership, self._clock.monotonic()

    def state(self) -> OwnershipState | None:
        """Return the members as last known; None where no position is kept."""
        if not self._has_owner:
            return None
        is_us = bool(self._store.epoch)
        known = self._latest_answer() if self._asks else self._store.ownership()
        if known is None or known.is_us != is_us:
            # The ownership has moved since that answer, or there is none.
            owner = Member(process_text(this_process())) if is_us else None
            return _state(owner, None, is_us=is_us)
        standbys = known.standbys if self._knows_standbys else None
        return _state(known.owner, standbys, is_us=is_us)

    def _latest_answer(self) -> Membership | None:
        answer = self._answer  # read once: the probe replaces it
        if answer is None or self._clock.monotonic() - answer[1] > ANSWER_SECONDS:
            return None
        return answer[0]


def _state(
    owner: Member | None, standbys: tuple[Member, ...] | None, *, is_us: bool
) -> OwnershipState:
    return OwnershipState(
        owner=owner.name if owner else None,
        since=owner.since if owner else None,
        standbys=None if standbys is None else tuple(member.name for member in standbys),
        is_us=is_us,
    )
