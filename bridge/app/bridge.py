"""A bridge, from owning its checkpoint to giving it back."""

import gc
import logging
import threading
from contextlib import suppress

from bridge.app.background import Background, Stopped, close_all
from bridge.app.clients import ClientReplacement
from bridge.app.lifecycle import Lifecycle, State
from bridge.app.lost_resume_point import note_gap
from bridge.app.outcome import Outcome
from bridge.app.ownership import OwnedCheckpoint, Ownership
from bridge.app.pause import Pause
from bridge.app.read_back import ReadBack
from bridge.app.retry import Retry
from bridge.app.session import Session
from bridge.app.sides import checkpoint_side, mongodb_side
from bridge.app.starting_point import StartingPoint
from bridge.app.until_now import UntilNow
from bridge.app.wiring import (
    SessionParts,
    make_brake,
    make_driver,
    make_progress,
    make_source,
    make_stall_warning,
    make_store,
    source_name,
)
from bridge.clock import Clock
from bridge.daemon_executor import DaemonExecutor
from bridge.delivery.modes import mode_of
from bridge.errors import (
    BridgeError,
    Fenced,
    Misconfigured,
    NotPermitted,
    ResumePointLost,
    Retryable,
    Stalled,
)
from bridge.kafka.probe import TopicProbe
from bridge.model.checkpoint import Checkpoint
from bridge.model.position import Position
from bridge.model.profile import namespace_of
from bridge.model.window import Window
from bridge.mongo.client import state_client
from bridge.mongo.probe import SourceProbe
from bridge.observability.counters import Counters
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse, Waiting
from bridge.pipeline.recovery_progress import RecoveryProgress
from bridge.settings import Settings

logger = logging.getLogger("bridge")

_STANDBY_SECONDS = 0.5


class Bridge:
    """Publishes a collection to a topic.

    Owns the checkpoint, finds the starting point, runs session after session, and gives the
    checkpoint back. ``run`` works on the thread that calls it; properties may be read on any.

    Args:
        settings: The settings.
        clock: The clocks.
        until_now: Whether to end once everything up to the start is delivered.
    """

    def __init__(self, settings: Settings, clock: Clock, *, until_now: bool = False) -> None:
        self.lifecycle = Lifecycle()
        self.counters = Counters()
        self._settings = settings
        self._client = state_client(settings)
        self.source = make_source(settings, self._client)
        self.store = make_store(settings, self._client)
        self.driver = make_driver(settings, self.store)
        self._ownership = Ownership(self.store, namespace_of(settings))
        self._pulse = Pulse(clock, self._ownership)
        self.pause = Pause(self._pulse, self.lifecycle, self._ownership)
        self._until = UntilNow(self._pulse) if until_now else None
        self._background = Background(self._pulse)
        self._context = PipelineContext(self._pulse, self.counters)
        self.recent = self._context.recent
        self._mode = mode_of(settings, self.source, self.store)
        self._starting_point = StartingPoint(settings, self.source, self.store, clock=clock)
        self._clients = ClientReplacement(self.source, self._context)
        self._retry = Retry(clock)
        self._executor = DaemonExecutor("checkpoint")
        source = source_name(settings)
        read_back = ReadBack(settings, self.driver, self._background, clock=clock, source=source)
        self._parts = SessionParts(
            settings=settings,
            driver=self.driver,
            source=self.source,
            read_back=read_back,
            mode=self._mode,
            context=self._context,
            background=self._background,
            brake=make_brake(settings),
            lifecycle=self.lifecycle,
            retry=self._retry,
            stall=make_stall_warning(clock, self._mode),
            until=self._until,
        )
        self._first_position: Position | None = None
        self._session: Session | None = None
        #: Set when a server that did not answer answers again.
        self._answers_again = threading.Event()

    def request_stop(self) -> None:
        """Ask for a clean stop; returns at once, may be called from any thread."""
        self._pulse.request_stop()

    def retry_now(self) -> None:
        """End the pause before the next session; returns at once, may be called on any thread."""
        self._answers_again.set()

    def topic_probe(self) -> TopicProbe:
        """Return a probe of the topic, with the settings of this moment."""
        return self.driver.probe(self._settings.with_present_secrets())

    def source_probe(self) -> SourceProbe:
        """Return a probe of the jobs collection, with the settings of this moment."""
        return SourceProbe(self._settings.with_present_secrets(), self.source.profile)

    def run(self) -> Outcome:
        """Work until stopped. Raises the ``BridgeError`` that ended the bridge."""
        try:
            self._run_sessions()
        except Fenced:
            self.counters.fenced += 1
            raise
        finally:
            unstored = self._close()
        if isinstance(unstored, Fenced):
            self.counters.fenced += 1
            raise unstored
        return Outcome(self._unacknowledged(), stored=unstored is None)

    def _run_sessions(self) -> None:
        with suppress(Stopped):
            while not self._pulse.stop.is_set():
                self._retry.session_started()
                self._answers_again.clear()
                try:
                    self._run_session()
                except (Retryable, NotPermitted, Misconfigured) as error:
                    self._failed(error)
                # A Kafka client that failed leaves threads and sockets in reference cycles.
                gc.collect()
                if self.pause.wait():
                    self._retry.paused()
                    continue
                self._pulse.sleep(self._retry.pause_seconds(), until=self._answers_again)

    def _run_session(self) -> None:
        """Run a session; after a lost resume point the next session starts with the gap."""
        try:
            self._own_checkpoint()
            self._session = Session(self._parts, self._ownership.owned or self._start())
            self._session.run()
        except ResumePointLost as error:
            note_gap(self._ownership, self._starting_point, self._settings, error)
            self.counters.history_lost += 1

    def _own_checkpoint(self) -> None:
        """Become or stay the owner. Raises ``Stopped`` in a standby, ``Fenced`` until now."""
        while owner := self._acquire():
            if self._until:
                self._until.refuse_standby(owner)
            if self.lifecycle.enter(State.STANDBY, f"standby: {owner}"):
                logger.info("standby: %s", owner)
            self._pulse.sleep(_STANDBY_SECONDS)
            if self._pulse.stop.is_set():
                raise Stopped
        if self.lifecycle.state is State.STANDBY:
            self.lifecycle.enter(State.STARTING, "starting")

    def _acquire(self) -> str:
        with self._pulse.waits_for(checkpoint_side(self._settings)):
            return self._background.call(self._ownership.acquire)

    def _start(self) -> OwnedCheckpoint:
        """Read the checkpoint to start from, or store a new one."""
        with self._pulse.waits_for(mongodb_side(self._settings)):
            start = self._background.call(self._starting_point.find)
        self._first_position = self._first_position or start.checkpoint.position
        progress = make_progress(self._parts, self.store, start.checkpoint, self._executor)
        return self._ownership.start(start, progress)

    def _failed(self, error: BridgeError) -> None:
        """Record a failure that will be retried; raise it if it ends the bridge.

        Raises ``Stopped`` when a stop is requested while clients are replaced.
        """
        if self._mode.rereads_position:
            self._ownership.forget_position()
        self._retry.failed(error)
        self.counters.restarts[error.part] += 1
        self.lifecycle.enter(State.WAITING, str(error))
        if isinstance(error, Stalled):
            self.counters.clients_replaced += 1
        if self._clients.due(error, self._retry.failing_seconds()):
            self._background.call(self._clients.replace)

    def _unacknowledged(self) -> int:
        """Return how many messages the last session left without an acknowledgement."""
        progress = self._ownership.progress
        count = progress.unacknowledged if progress else 0
        if count:
            logger.error(
                "stopped with %d messages that Kafka did not acknowledge: "
                "nothing is lost, the next start sends those that the topic does not have",
                count,
            )
        return count

    def _close(self) -> BridgeError | None:
        """Store the settled position and close everything; return the error of the store."""
        self.lifecycle.enter(State.STOPPED, "stopped")
        side = checkpoint_side(self._settings)
        try:
            with self._pulse.waits_for(f"{side} to store the position"):
                return self._ownership.give_back(side)
        finally:
            self._executor.shutdown(wait=False)
            close_all(self.source.close, self._client.close)

    @property
    def state(self) -> State:
        return self.lifecycle.state

    @property
    def is_standby(self) -> bool:
        return self.lifecycle.state is State.STANDBY

    @property
    def looping(self) -> bool:
        return self.lifecycle.looping

    @property
    def reason(self) -> str:
        waiting = self.waiting
        if waiting and self.state is State.STARTING:
            return f"starting: waiting for {waiting.side}"
        return self.lifecycle.reason

    @property
    def waiting(self) -> Waiting | None:
        return self._pulse.waiting

    @property
    def stops(self) -> bool:
        """Whether a stop was requested, or the bridge has ended by itself."""
        return self._pulse.stop.is_set() or self.state is State.STOPPED

    @property
    def paused_since(self) -> float | None:
        return self.pause.since

    @property
    def streams(self) -> bool:
        return self._session.streams if self._session else True

    @property
    def last_beat(self) -> float:
        return self._pulse.last_beat

    @property
    def start(self) -> Position | None:
        return self._first_position

    @property
    def reached(self) -> Position | None:
        return self._session.reached if self._session else None

    @property
    def position(self) -> Position | None:
        progress = self._ownership.progress  # read once: the main thread may forget it
        return progress.position if progress else None

    @property
    def stored(self) -> Checkpoint | None:
        progress = self._ownership.progress  # as above
        return progress.stored if progress else None

    @property
    def in_flight(self) -> Window | None:
        return self._session.in_flight if self._session else None

    @property
    def recovery(self) -> RecoveryProgress | None:
        return self._session.recovery if self._session else None

    def complaint(self) -> str:
        return self._session.complaint() if self._session else ""
