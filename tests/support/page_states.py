"""Bridges in the five states of the status page's tests and pictures, with fixed values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone

from bridge.clock import SystemClock
from bridge.logs.recent_warnings import LoggedWarning
from bridge.model.gap import Gap
from bridge.model.position import ClusterTime, position_before
from bridge.observability.certificates import Certificates
from bridge.observability.history import HISTORY_SECONDS, SAMPLE_SECONDS
from bridge.observability.http_security import Guard
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import registry
from bridge.observability.snapshot import HealthState, OplogTimes, OwnershipState, Verified
from bridge.observability.status import LatestVerification, Status
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.recovery_progress import RecoveryProgress
from tests.support.factories import checkpoint, delivery, settings, transition
from tests.support.observed_bridge import FixedHealth, ObservedBridge

STATES = ("fine", "catching-up", "kafka-unreachable", "recovering", "standby")
_ABOUT = {
    "namespace": "ee2.jobs",
    "topic": "job-transitions",
    "driver": "librdkafka",
    "mode": "at-least-once",
}
_DAY = 86_400
_JOB_STATES = ("created", "queued", "running", "completed")
_KAFKA = "No broker answers at kafka-1:9092. Nothing is lost: the bridge retries by itself"


class PicturedBridge:
    """A running bridge whose settled position is ``lag`` seconds old."""

    def __init__(self, lag: int = 0) -> None:
        self.clock = SystemClock()
        self.now = int(self.clock.now())
        #: For how long it has sent nothing.
        self.silent_seconds = 0.0
        # The loop of an observed bridge does not run.
        self.bridge = ObservedBridge(last_beat=self.clock.monotonic() + 3600)
        self.bridge.store.name = "ee2-jobs"
        self.bridge.position = position_before(ClusterTime(self.now - lag))
        self.bridge.reached = position_before(ClusterTime(self.now - lag // 2))
        self.bridge.stored = replace(
            checkpoint(), position=self.bridge.position, saved_at=self.now - lag - 1.0
        )
        self.verification = LatestVerification()
        owner = "process 7 on bridge-a"
        self.health = FixedHealth(
            HealthState(
                kafka_up=True,
                mongodb_up=True,
                oplog=OplogTimes(ClusterTime(self.now), ClusterTime(self.now - _DAY)),
                ownership=OwnershipState(
                    owner, self.now - 3600.0, ("process 9 on bridge-b",), True
                ),
            )
        )

    def settle(self, count: int) -> None:
        """Deliver transitions of some jobs."""
        for number in range(count):
            settled = delivery(number)
            settled.item = transition(
                number,
                job_id=f"64b3e1c{number // 4:x}",
                state=_JOB_STATES[number % 4],
                time=datetime.fromtimestamp(self.now - 2 * (count - number), timezone.utc),
            )
            self.bridge.recent.add([settled])

    def warn(self, text: str, ago: float, *, todo: str = "", details: str = "") -> None:
        """Add a warning that was logged ``ago`` seconds ago."""
        warning = LoggedWarning(
            self.now - ago, self.now - ago, "warning", text, details=details, todo=todo
        )
        self.health.report(warnings=(warning, *self.health.answers.warnings))

    @contextmanager
    def served(self) -> Iterator[HttpServer]:
        """Serve the page, with the charts of 15 minutes."""
        status = Status(
            self.bridge,
            self.health,
            self.clock,
            about=_ABOUT,
            verification=self.verification,
        )
        metrics = registry(status, ["running"], Certificates(settings()))
        guard = Guard(details=True)
        server = HttpServer("127.0.0.1", 0, status, registry=metrics, guard=guard)
        # Before the server itself adds samples.
        self._fill(server, status)
        with server:
            yield server

    def _fill(self, server: HttpServer, status: Status) -> None:
        """Add samples of 15 minutes: waves, with a few messages that are late."""
        history = server._pages._history
        counters, moment = self.bridge.counters, self.clock.monotonic()
        count = int(HISTORY_SECONDS / SAMPLE_SECONDS)
        for sample in range(count + 1):
            ago = (count - sample) * SAMPLE_SECONDS
            messages = int(120 + 60 * math.sin(sample / 15) + 20 * math.sin(sample * 2.1))
            if ago < self.silent_seconds:
                messages = 0
            latency = 0.009 + 0.004 * math.sin(sample / 9)
            late = messages > 0 and sample in (60, 61)
            counters.read += messages
            counters.sent += messages
            now = self.now - ago
            times = [now - latency] * (messages - late) + [now - 3.0] * late
            counters.acknowledge(times, now)
            history.add(status.snapshot(), time=now, moment=moment - ago)


def _fine() -> PicturedBridge:
    pictured = PicturedBridge()
    pictured.settle(20)
    moment = pictured.clock.monotonic()
    pictured.verification.begin(moment - 540.0)
    pictured.verification.complete(Verified(pictured.now - 630.0, 0, 0, 0, 0), moment - 440.0)
    pictured.verification.begin(moment - 30.0)
    return pictured


def _catching_up() -> PicturedBridge:
    pictured = PicturedBridge(lag=7200)
    pictured.settle(20)
    pictured.bridge.counters.dead_lettered = 1
    pictured.warn(
        "a transition was dead-lettered to job-transitions-dlq; "
        "'job-bridge dead-letters list' shows it",
        40,
        details="job_id=64b3e1c0 reason=its state is not text",
    )
    return pictured


def _kafka_unreachable() -> PicturedBridge:
    pictured = PicturedBridge(lag=95)
    pictured.silent_seconds = 95.0
    pictured.settle(8)
    pictured.bridge.state = "waiting"
    pictured.bridge.looping = False
    pictured.bridge.reason = _KAFKA
    pictured.health.report(kafka_up=False)
    pictured.warn(_KAFKA, 5, todo="Check kafka.bootstrap_servers", details="(for 90 s, 45 times)")
    return pictured


def _recovering() -> PicturedBridge:
    pictured = PicturedBridge(lag=80_000)
    pictured.settle(12)
    pictured.bridge.state = "recovering"
    until = position_before(ClusterTime(pictured.now))
    gap = Gap(since=None, until=until, recent=0.0, reread_from=None)
    recovery = RecoveryProgress(gap, 40_000, PipelineContext(Pulse(pictured.clock)))
    recovery.done = 11_000
    pictured.bridge.recovery = recovery
    pictured.warn("the oplog no longer contains the checkpoint: recovering from the jobs", 60)
    return pictured


def _standby() -> PicturedBridge:
    pictured = PicturedBridge()
    pictured.silent_seconds = math.inf
    ownership = pictured.health.answers.ownership
    assert ownership is not None
    pictured.health.report(ownership=ownership._replace(is_us=False))
    pictured.bridge.state = "standby"
    pictured.bridge.looping = False
    pictured.bridge.is_standby = True
    pictured.bridge.reason = "standby: process 7 on bridge-a owns the checkpoint"
    return pictured


_MAKERS = (_fine, _catching_up, _kafka_unreachable, _recovering, _standby)


def pictured(state: str) -> PicturedBridge:
    """Return a bridge in one of :data:`STATES`."""
    return _MAKERS[STATES.index(state)]()
