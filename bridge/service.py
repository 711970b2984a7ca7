"""The only place that constructs things: builds a run of the loop, runs it again after a Retryable, stops it.

One way forward (the loop), one way back (a ``Retryable`` ends the run; wait; begin again at the
last settled position), one way to stop (drain within a deadline, store, close in reverse).
"""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bridge import __version__
from bridge.checkpoint.file import FileCheckpoint
from bridge.checkpoint.mongo import MongoCheckpoints
from bridge.clock import Clock, SystemClock
from bridge.config import Config, parse_time
from bridge.errors import BridgeError, Fenced, NotPermitted, Retryable
from bridge.logs import Repeated
from bridge.metrics import Counters, registry
from bridge.model.checkpoint import Checkpoint, Origin
from bridge.model.message import MessageFormat
from bridge.model.policy import Backoff, CheckpointPolicy, DeadLetterBrake
from bridge.model.position import Position, position_at, position_from
from bridge.model.profile import namespace_of, profile_of
from bridge.model.window import Window
from bridge.pipeline.loop import Loop
from bridge.pipeline.ports import CheckpointStore
from bridge.pipeline.progress import Progress
from bridge.pipeline.publish import Publisher
from bridge.signals import on_stop
from bridge.sink.driver import driver_of
from bridge.source.client import Client, state_client
from bridge.source.mongo import MongoSource
from bridge.web.server import WebServer
from bridge.web.status import Status

logger = logging.getLogger("bridge")

#: Rights that were there and are gone may come back (a rotated password): so long they are waited for.
PERMISSION_PATIENCE_SECONDS = 600.0
#: A run that lasted so long was well: the next failure is waited out from the beginning.
_WELL_SECONDS = 5.0
_STANDBY_SECONDS = 0.5


def make_store(config: Config, client: Client) -> CheckpointStore:
    """The checkpoint store the settings ask for; ``client`` stays with the caller."""
    chosen = config.checkpoint
    if chosen.store == "file":
        return FileCheckpoint(Path(chosen.file), chosen.name)
    return MongoCheckpoints(client, chosen.database, chosen.name, chosen.lease_seconds)


@contextmanager
def opened(config: Config) -> Iterator[tuple[MongoSource, CheckpointStore]]:
    """The source and the checkpoint store for a command, closed afterwards."""
    with state_client(config) as client, closing(MongoSource(config, profile_of(config), client)) as source:
        yield source, make_store(config, client)


class Service:
    """One bridge: one collection to one topic."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._driver = driver_of(config)
        self._counters = Counters()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._client = state_client(config)
        self._source = MongoSource(config, profile_of(config), self._client)
        self._store = make_store(config, self._client)
        self._form = MessageFormat(
            config.kafka.topic, f"job-bridge/{namespace_of(config)}", cloudevents=config.kafka.headers == "cloudevents"
        )
        self._executor = ThreadPoolExecutor(1, "checkpoint")
        self._brake = DeadLetterBrake(config.delivery.dead_letters_per_hour)
        self._progress: Progress | None = None
        self._by_time = False
        self._was_ready = False
        self._ready_since: float | None = None
        self._refused_since: float | None = None
        self._trouble = Repeated(logger)
        self._stall = Repeated(logger)
        self.status = self._make_status()

    def _make_status(self) -> Status:
        status = Status(
            self._config.checkpoint.name, namespace_of(self._config), self._config.kafka.topic, str(self._driver),
            self._clock, self._counters,
        )
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
        metrics = registry(self._counters, self.status.gauges, lambda: self.status.state, __version__)
        http = self._config.http
        with on_stop(self.stop), WebServer(http.host, http.port, self.status, metrics) as web:
            logger.info(
                "job-bridge %s: %s to topic %s by %s, %s, checkpoint in %s; status at %s", __version__,
                namespace_of(self._config), self._config.kafka.topic, self._driver, self._config.delivery.mode,
                self._store.where, web.url,
            )
            try:
                code = self._run_until_stopped()
            except Fenced:
                self._counters.fenced += 1
                raise
            finally:
                stored = self._close()
            return code if stored else Retryable.exit_code

    def _run_until_stopped(self) -> int:
        backoff, tries = Backoff(), 0
        while not self._stop.is_set():
            self._ready_since = None
            try:
                return self._run_once()
            except (Retryable, NotPermitted) as error:
                self._excuse(error)
                tries = 1 if self._was_well() else tries + 1
            self._wait(backoff.wait(tries))
        return 0

    def _run_once(self) -> int:
        """One run: own the checkpoint, open both ends, work, and settle what is in flight."""
        if not self._own():
            return 0
        progress = self._progress = self._progress or self._begin()
        window = Window(progress.position, self._config.delivery.window_messages, self._config.delivery.window_bytes)
        with ExitStack() as stack:
            sink = stack.enter_context(self._driver.sink(self._config, self._form.dead_letter_topic, self._wake))
            stream = stack.enter_context(self._source.open(progress.position, self._wake, by_time=self._by_time))
            publisher = Publisher(
                sink, window, self._form, self._brake, self._clock, self._counters,
                set_aside_oversize=self._config.kafka.on_oversize == "dead-letter",
            )
            loop = Loop(stream, sink, window, publisher, progress, self._wake, self._stop, self._clock,
                        self._counters, self._watch)
            self.status.window, self.status.complaint = window, sink.complaint
            return self._work(loop, window, progress)

    def _work(self, loop: Loop, window: Window, progress: Progress) -> int:
        drain_seconds = self._config.delivery.drain_seconds
        self._is_ready()
        try:
            loop.run()
        except Fenced:
            raise
        except BridgeError as error:
            self._set_state("waiting", str(error))
            loop.drain(drain_seconds)
            raise
        self._set_state("draining", "stopping")
        if loop.drain(drain_seconds):
            progress.save()
            return 0
        progress.save()
        logger.error(
            "stopped with %d messages that Kafka did not acknowledge within %.0f s: nothing is lost, "
            "they are sent again at the next start", window.count, drain_seconds,
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
        return True

    def _begin(self) -> Progress:
        """Load the checkpoint, or store the first one before anything is read."""
        origin = self._source.origin()
        if not self._source.exists():
            logger.warning("the collection %s does not exist yet: waiting for its first job", namespace_of(self._config))
        checkpoint = self._store.load()
        if checkpoint is None:
            checkpoint = origin.first(self._store.name, self._first_position(origin), self._store.epoch, self._clock.now())
            self._store.save(checkpoint)
            logger.info("first start", extra={"position": str(checkpoint.position)})
        else:
            checkpoint = self._resumed(origin, checkpoint)
        chosen = self._config.checkpoint
        return Progress(
            self._store, checkpoint, CheckpointPolicy(chosen.interval_seconds), chosen.lease_seconds / 3,
            self._clock, self._counters, self._executor,
        )

    def _resumed(self, origin: Origin, checkpoint: Checkpoint) -> Checkpoint:
        origin.admit(checkpoint)
        logger.info("going on from the checkpoint", extra={"position": str(checkpoint.position)})
        # A token made under other stages may be refused, its cluster time is not.
        self._by_time = checkpoint.fingerprint != origin.fingerprint and bool(checkpoint.position.token)
        return replace(checkpoint, fingerprint=origin.fingerprint, mongo_cluster_id=origin.mongo_cluster_id)

    def _first_position(self, origin: Origin) -> Position:
        start = self._config.start.from_
        if start == "now":
            newest = origin.cluster_time
            return position_from(newest.next())
        return position_at(parse_time(start))

    def _is_ready(self) -> None:
        self._trouble.over(self._clock.monotonic(), "working again")
        self._was_ready, self._refused_since = True, None
        self._ready_since = self._counters.turned = self._clock.monotonic()
        self._set_state("running", "")
        logger.info("ready")

    def _excuse(self, error: BridgeError) -> None:
        """Note a failure that is waited out; raise it when it is not to be."""
        now = self._clock.monotonic()
        if isinstance(error, NotPermitted):
            self._refused_since = self._refused_since or now
            if not self._was_ready or now - self._refused_since > PERMISSION_PATIENCE_SECONDS:
                raise error
        self._counters.restarts[error.part] += 1
        self._trouble.failed(now, str(error))
        self._set_state("waiting", str(error))

    def _watch(self) -> None:
        """Called at each turn of the loop: says so when Kafka takes nothing, and when it does again."""
        now, reasons = self._clock.monotonic(), self.status.reasons()
        if reasons:
            self._stall.failed(now, f"{reasons[0]}. Nothing is lost: reading waits")
        else:
            self._stall.over(now, "Kafka acknowledges again")

    def _was_well(self) -> bool:
        since = self._ready_since
        return since is not None and self._clock.monotonic() - since > _WELL_SECONDS

    def _wait(self, seconds: float) -> None:
        """Wait, hear a stop, and keep the ownership of the checkpoint meanwhile."""
        until = self._clock.monotonic() + seconds
        step = self._config.checkpoint.lease_seconds / 3
        while (left := until - self._clock.monotonic()) > 0 and not self._stop.wait(min(left, step)):
            if self._progress is not None:
                with suppress(Retryable, NotPermitted):
                    self._progress.renew()

    def _set_state(self, state: str, reason: str) -> None:
        self.status.state, self.status.reason = state, reason

    def _close(self) -> bool:
        """Store what is settled and give the checkpoint back; False when the position could not be stored."""
        self._set_state("stopped", "stopped")
        try:
            if self._progress is not None:
                self._progress.save()
            with suppress(Retryable, NotPermitted):  # then a stand-in waits for the lease to end
                if self._store.epoch:
                    self._store.release()
        except Fenced:
            return False
        except BridgeError as error:
            logger.warning("stopped without storing the position: %s; what was sent since is sent again", error)
            return False
        finally:
            self._executor.shutdown()
            self._source.close()
            self._client.close()
        return True
