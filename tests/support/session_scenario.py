"""A session of the bridge on fakes, without servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from bridge.app.background import Background
from bridge.app.lifecycle import State
from bridge.app.ownership import OwnedCheckpoint
from bridge.app.read_back import ReadBack
from bridge.app.retry import Retry
from bridge.app.session import Session
from bridge.app.starting_point import Start
from bridge.app.wiring import SessionParts, make_brake
from bridge.delivery.modes import mode_of
from bridge.model.gap import Gap
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.progress import Progress
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.stall_warning import StallWarning
from tests.support.bridge_on_fakes import FakeKafka, FakeSource, RecordingLifecycle
from tests.support.factories import checkpoint, settings
from tests.support.fakes import (
    FakeClock,
    FakeStore,
    FakeWake,
    InlineExecutor,
    Log,
    SharedCheckpoint,
)


class SessionScenario:
    """A session on fakes; each wait for answers is a step, and the last wait stops it."""

    def __init__(
        self, *, gap: Gap | None = None, other_stages: bool = False, **options: Any
    ) -> None:
        self.clock = FakeClock()
        self.log = Log()
        self.kafka = FakeKafka()
        self.source = FakeSource(self.log)
        self.lifecycle = RecordingLifecycle()
        self.wake = FakeWake(self.clock)
        self.wake.meanwhile = self._step
        self.pulse = Pulse(self.clock, wake=self.wake)
        self.context = PipelineContext(self.pulse)
        self.background = Background(self.pulse)
        self.shelf = SharedCheckpoint(self.clock)
        self.store = FakeStore(self.shelf)
        self.store.acquire()
        chosen = settings(kafka__topic="jobs", **options)
        mode = mode_of(chosen, self.source, self.store)
        self.progress = Progress(
            self.store,
            checkpoint(0),
            mode.policy,
            renew_seconds=3.0,
            context=self.context,
            executor=InlineExecutor(),
        )
        if gap is not None:
            self.progress.lose(gap)
        self.parts = SessionParts(
            settings=chosen,
            driver=self.kafka.driver,
            source=cast(Any, self.source),
            read_back=ReadBack(
                chosen, self.kafka.driver, self.background, clock=self.clock, source="source"
            ),
            mode=mode,
            context=self.context,
            background=self.background,
            brake=make_brake(chosen),
            lifecycle=self.lifecycle,
            retry=Retry(self.clock),
            stall=StallWarning(self.clock, mode.stall_consequence),
        )
        owned = OwnedCheckpoint(Start(checkpoint(0), other_stages), self.progress)
        self.session = Session(self.parts, owned)
        self._steps: list[Callable[[], object]] = []

    def run(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)
        self.session.run()

    def _step(self) -> None:
        self.background.finish()
        if self._steps:
            self._steps.pop(0)()
        else:
            self.pulse.request_stop()

    def acknowledge(self) -> None:
        self.kafka.producer.acknowledge()

    @property
    def states(self) -> list[State]:
        return [state for state, _ in self.lifecycle.moves]
