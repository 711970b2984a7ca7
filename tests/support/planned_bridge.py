"""A bridge in memory whose collection grows by a plan, for tests of any schedule."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import strategies as st

from bridge.model.transition import Transition
from tests.support.factories import job, transition
from tests.support.in_memory_bridge import InMemoryBridge

Plan = list[tuple[int, ...] | str]

EVENTS = st.lists(
    st.one_of(
        # One event with transitions of these jobs.
        st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple),
        st.sampled_from(["skipped", "idle"]),
    ),
    max_size=14,
)


class KilledProcess(BaseException):
    """As SIGKILL: the code that runs afterwards must not matter."""


class PlannedBridge(InMemoryBridge):
    """Lets the events of a plan happen step by step."""

    def __init__(self, plan: Plan, messages: int, batch: int) -> None:
        self.plan = list(plan)
        #: How many transitions each job has had.
        self.grown: dict[int, int] = defaultdict(int)
        super().__init__(messages=messages, batch=batch)

    def grow(self) -> None:
        """Let the next event of the plan happen."""
        if not self.plan:
            return
        kind = self.plan.pop(0)
        if kind == "idle":
            self.log.pass_by()
        elif isinstance(kind, str):
            self.log.append(skipped=kind)
        else:
            self.log.append(*map(self._next, kind))

    def _next(self, number: int) -> Transition:
        self.grown[number] += 1
        return transition(self.grown[number] - 1, job(number))
