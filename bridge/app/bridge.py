"""The service: puts a run of the loop together, runs it again after a Retryable, stops it.

One way forward (the loop), one way back (a ``Retryable`` ends the run; wait; begin again at the
last settled position), one way to stop (drain within a deadline, store, close in reverse).
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

from bridge import __version__
from bridge.app.background import Background, Stopped
from bridge.app.signals import on_stop
from bridge.app.starting_point import StartingPoint
from bridge.app.wiring import make_message_format, make_publisher, make_source, make_store
from bridge.clock import Clock, SystemClock
from bridge.delivery.modes import Run, mode_of
from bridge.delivery.sweeping_stream import NoStream
from bridge.errors import BridgeError, Fenced, NotPermitted, ResumePointLost, Retryable
from bridge.kafka.drivers import driver_of
from bridge.logs import Repeated
from bridge.model.policy import Backoff, DeadLetterBrake
from bridge.model.profile import namespace_of
from bridge.model.window import Window
from bridge.mongo.client import state_client
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import Counters, registry
from bridge.observability.status import SWEEP_ALONE, Recovering, Status
from bridge.pipeline.loop import Loop
from bridge.pipeline.metered_sink import MeteredSink
from bridge.pipeline.ports import Stream
from bridge.pipeline.progress import Progress
from bridge.pipeline.recovery_stream import RecoveryProgress, RecoveryStream
from bridge.settings import Settings
from bridge.verification.scheduler import VerificationScheduler

logger = logging.getLogger("bridge")

#: Rights that were there and are gone may come back (a rotated password): so long they are waited for.
PERMISSION_PATIENCE_SECONDS = 600.0
#: A run that lasted so long was well: the next failure is waited out from the beginning.
_WELL_SECONDS = 5.0
_STANDBY_SECONDS = 0.5


class Service:
    """One bridge: one collection to one topic."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._driver = driver_of(settings)
        self._counters = Counters()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._client = state_client(settings)
        self._source = make_source(settings, self._client)
        self._store = make_store(settings, self._client)
        self._mode = mode_of(settings, self._source, self._clock, self._counters)
        self._beginning = StartingPoint(
            settings,
            self._source,
            self._store,
            self._clock,
            streams=not self._settings.keeps_no_position,
        )
        self._form = make_message_format(settings)
        self._executor = ThreadPoolExecutor(1, "checkpoint")
        self._brake = DeadLetterBrake(settings.delivery.dead_letters_per_hour)
        self._waiting = Background(self._stop, self._wake, self._clock, self._keep)
        self._progress: Progress | None = None
        self._was_ready, self._unacknowledged = False, 0
        self._ready_since: float | None = None
        self._refused_since: float | None = None
        self._trouble, self._stall = Repeated(logger), Repeated(logger)
        self.status = self._make_status()

    def _make_status(self) -> Status:
        about = {
            "name": self._settings.checkpoint.name,
            "namespace": namespace_of(self._settings),
            "topic": self._settings.kafka.topic,
            "driver": str(self._driver),
            "mode": self._settings.delivery.mode,
        }
        status = Status(about, self._clock, self._counters)
        status.position = lambda: self._progress.position if self._progress else None
        status.stored = lambda: self._progress.stored if self._progress else None
        status.ask(self._source.cluster.last_write, self._source.cluster.oldest_oplog_entry)
        return status

    def stop(self) -> None:
        """Ask for a clean stop; returns at once, may be called from any thread."""
        self._stop.set()
        self._wake.set()

    def run(self) -> int:
        """Work until stopped; return the exit code. Raises the :class:`BridgeError` that ended it."""
        metrics = registry(
            self._counters, self.status.gauges, lambda: self.status.state, __version__
        )
        http = self._settings.http
        with (
            on_stop(self.stop),
            HttpServer(http.host, http.port, self.status, metrics) as web,
            VerificationScheduler(self._settings, self.status),
        ):
            logger.info(
                "job-bridge %s: %s to topic %s by %s, %s, checkpoint in %s; status at %s",
                __version__,
                namespace_of(self._settings),
                self._settings.kafka.topic,
                self._driver,
                self._settings.delivery.mode,
                self._store.where,
                http.url(web.port),
            )
            try:
                code = self._run_until_stopped()
            except Fenced:
                self._counters.fenced += 1
                raise
            finally:
                unstored = self._close()
            if isinstance(unstored, Fenced):
                self._counters.fenced += 1
                raise unstored
            return Retryable.exit_code if unstored else code

    def _run_until_stopped(self) -> int:
        backoff, tries = Backoff(), 0
        while not self._stop.is_set():
            self._ready_since = None
            try:
                if (code := self._attempt()) is not None:
                    return code
            except (Retryable, NotPermitted) as error:
                self._excuse(error)
            tries = 1 if self._was_well() else tries + 1
            self._waiting.wait(backoff.wait(tries))
        return self._stopped()

    def _attempt(self) -> int | None:
        """One run, and its exit code; None when the stream had forgotten our place, and the next run begins with the gap."""
        try:
            return self._run_once()
        except ResumePointLost as error:
            self._lose(error)
            self._counters.history_lost += 1
            return None
        except Stopped:
            return self._stopped()

    def _run_once(self) -> int:
        """One run: own the checkpoint, open both ends, work, and settle what is in flight."""
        if not self._own():
            return 0
        progress = self._progress = self._progress or self._waiting.do(self._begin)
        window = Window(
            progress.position, self._mode.messages, self._settings.delivery.window_bytes
        )
        run = Run(
            progress, self._wake, self._stop, self.status.watch, self._keep, self._waiting.taking
        )
        with ExitStack() as stack:
            stack.callback(self.status.watch, None)
            driver = self._waiting.enter(
                stack, self._driver.sink(self._settings, self._form.dead_letter_topic, self._wake)
            )
            self.status.watch(window)
            self.status.complaint = driver.complaint
            sink = stack.enter_context(
                self._mode.around_sink(MeteredSink(driver, self._clock, self._counters), run)
            )
            stream = self._mode.around_stream(self._stream(progress, stack), run)
            publisher = make_publisher(
                self._settings, sink, window, self._form, self._brake, self._clock, self._counters
            )
            loop = Loop(
                stream,
                sink,
                window,
                publisher,
                progress,
                self._wake,
                self._stop,
                self._clock,
                self._counters,
                self._watch,
            )
            try:
                return self._work(loop, window)
            finally:
                self._waiting.finish()

    def _stream(self, progress: Progress, stack: ExitStack) -> Stream:
        """What the position asks for: the change stream, or first the gap before it; nothing where there are no streams."""
        self.status.streams = self._source.deployment(
            streams=not self._settings.keeps_no_position
        ).streams
        if not self.status.streams:
            logger.warning("%s", SWEEP_ALONE)
            return NoStream()
        by_time, self._beginning.by_time = self._beginning.by_time, False
        gap, self.status.recovery = progress.gap, None
        if gap is None:
            return self._waiting.enter(
                stack, self._source.open(progress.position, self._wake, by_time=by_time)
            )
        history, place = self._source.history, progress.position.recovery_cursor
        report = self.status.recovery = RecoveryProgress(
            gap, self._waiting.do(lambda: history.count_in_gap(gap, place)), self._clock
        )
        latest_only = self._source.profile.transitions_field is None
        if latest_only:
            logger.warning(
                "this collection keeps no history: of each job only the latest state can be told, those in between cannot be known"
            )
        return RecoveryStream(
            self._waiting.taking(history.transitions_in_gap(gap, place)),
            gap,
            progress.position,
            self._waiting.later(
                lambda: stack.enter_context(self._source.open(gap.until, self._wake, by_time=False))
            ),
            report,
            self._counters,
            latest_only=latest_only,
        )

    def _work(self, loop: Loop, window: Window) -> int:
        self._is_ready()
        try:
            with suppress(Stopped):
                loop.run()
        except Fenced:
            raise
        except BridgeError as error:
            self._set_state("waiting", str(error))
            self._drain(loop, window)
            raise
        self._set_state("draining", "stopping")
        self._drain(loop, window)
        return self._stopped()

    def _drain(self, loop: Loop, window: Window) -> None:
        loop.drain(self._settings.delivery.drain_seconds)
        self._unacknowledged = window.count

    def _stopped(self) -> int:
        """The exit code of a stop, and a word of what Kafka has not taken."""
        if not self._unacknowledged:
            return 0
        logger.error(
            "stopped with %d messages that Kafka did not acknowledge: nothing is lost, they are sent again at the next start",
            self._unacknowledged,
        )
        return Retryable.exit_code

    def _own(self) -> bool:
        """Become or stay the owner of the checkpoint; False when stopped while standing by."""
        if self._progress is not None:
            self._progress.renew()
            return True
        while blocker := self._store.acquire():
            if self.status.state != "standby":
                logger.info("standing by: %s", blocker)
            self._set_state("standby", f"standing by: {blocker}")
            if self._stop.wait(_STANDBY_SECONDS):
                return False
        if self.status.state == "standby":
            self._set_state("starting", "starting")
        return True

    def _begin(self) -> Progress:
        """What is stored, or the first checkpoint."""
        checkpoint, renew = (
            self._beginning.checkpoint(),
            self._settings.checkpoint.lease_seconds / 3,
        )
        self.status.began = self.status.began or checkpoint.position
        return Progress(
            self._store,
            checkpoint,
            self._mode.policy,
            renew,
            self._clock,
            self._counters,
            self._executor,
        )

    def _lose(self, error: ResumePointLost) -> None:
        """The oplog has forgotten our position: from the next run on the gap is told by the jobs' history."""
        if self._settings.keeps_no_position or self._progress is None:
            logger.warning("%s; tags tell what is still to be sent: going on from now", error.what)
            self._progress = None
            return
        gap = self._beginning.gap_since(self._progress.position, self._progress.stored, error)
        self._progress.lose(gap)
        logger.warning(
            "%s. Nothing is skipped: what changed since is published from the jobs' own history, with %g s before it again",
            error.what,
            self._settings.recovery.margin_seconds,
            extra={"position": str(self._progress.position)},
        )

    def _is_ready(self) -> None:
        self._trouble.over(self._clock.monotonic(), "working again")
        self._was_ready = True
        self._ready_since = self._counters.turned = self._clock.monotonic()
        self._set_state("recovering" if self.status.recovery else "running", "")
        logger.info("%s", self.status.recovery or "ready")

    def _excuse(self, error: BridgeError) -> None:
        """Note a failure that is waited out; raise it when it is not to be."""
        now = self._clock.monotonic()
        if self._was_well():
            self._refused_since = None
        if isinstance(error, NotPermitted):
            self._refused_since = self._refused_since or now
            if not self._was_ready or now - self._refused_since > PERMISSION_PATIENCE_SECONDS:
                raise error
        self._counters.restarts[error.part] += 1
        self._trouble.failed(now, str(error))
        self._set_state("waiting", str(error))

    def _watch(self) -> None:
        """Called at each turn of the loop: says so when Kafka takes nothing, when it does again, and when a gap is published."""
        if self.status.recovery and self._progress and self._progress.gap is None:
            self._recovered(self.status.recovery)
        now, stalled = self._clock.monotonic(), self.status.stalled()
        if stalled:
            self._stall.failed(now, f"{stalled}. {self._mode.stalled}", self.status.oldest_age())
        else:
            self._stall.over(now, "Kafka acknowledges again")

    def _recovered(self, recovery: Recovering) -> None:
        self.status.recovery = None
        self._set_state("running", "")
        logger.info(
            "published %d jobs' history in %.1f s, the change stream goes on behind it: ready",
            recovery.done,
            recovery.seconds,
        )

    def _was_well(self) -> bool:
        return (
            self._ready_since is not None
            and self._clock.monotonic() - self._ready_since > _WELL_SECONDS
        )

    def _keep(self) -> None:
        """Keep the ownership of the checkpoint, whatever takes long, and be alive. Raises ``Fenced``."""
        self._counters.turned = self._clock.monotonic()
        with suppress(Retryable, NotPermitted):
            if self._progress is not None:
                self._progress.keep()
            elif self._store.epoch:
                self._store.renew()

    def _set_state(self, state: str, reason: str) -> None:
        self.status.state, self.status.reason = state, reason

    def _close(self) -> BridgeError | None:
        """Store what is settled and give the checkpoint back; what kept the position from being stored, ``Fenced`` too."""
        self._set_state("stopped", "stopped")
        try:
            if self._progress is not None:
                self._progress.save()
            with suppress(Retryable, NotPermitted):  # then a stand-in waits for the lease to end
                if self._store.epoch:
                    self._store.release()
        except Fenced as error:
            return error
        except BridgeError as error:
            logger.warning(
                "stopped without storing the position: %s; what was sent since is sent again", error
            )
            return error
        finally:
            self._executor.shutdown()
            self._source.close()
            self._client.close()
        return None
