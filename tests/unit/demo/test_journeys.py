"""The journeys of jobs that are recovered."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from bridge.demo.job_service.journeys import journey
from bridge.demo.job_service.workload import (
    FAILING,
    HAPPY,
    TERMINAL,
    Action,
    Journey,
    Obstacle,
    Workload,
    Writes,
)


def drawn(writes: Writes, **shares: float) -> list[Journey]:
    random = Random(7)
    workload = Workload(writes=writes, **shares)  # type: ignore[arg-type]
    return [journey(random, workload) for _ in range(300)]


def recoveries(plan: Journey) -> int:
    return sum(step.action is Action.RECOVER for step in plan.steps)


def test_jobs_written_with_push_are_never_recovered() -> None:
    plans = drawn("push", error_share=1, recover_share=1)

    assert {tuple(step.state for step in plan.steps) for plan in plans} == {FAILING}
    assert not any(plan.pipelines for plan in plans)
    assert all(step.refused is None for plan in plans for step in plan.steps)


def test_with_both_ways_each_job_has_either() -> None:
    plans = drawn("both", error_share=1, recover_share=1)

    assert 100 < sum(plan.pipelines for plan in plans) < 200
    assert all(plan.pipelines == (recoveries(plan) > 0) for plan in plans)


def test_only_the_given_share_of_failures_is_recovered() -> None:
    plans = drawn("pipeline", error_share=1, recover_share=0.5)

    assert 110 < sum(recoveries(plan) == 0 for plan in plans) < 190
    assert max(map(recoveries, plans)) >= 3


def test_a_recovery_restarts_a_failed_job() -> None:
    for plan in drawn("pipeline", error_share=1, recover_share=0.8):
        for before, step in pairwise(plan.steps):
            if step.action is Action.RECOVER:
                assert (before.state, step.state) == ("recovering", HAPPY[1])
            if step.action is Action.START_RECOVERY:
                assert (before.state, step.state) == ("error", "recovering")
            if step.action is Action.FORCE_RECOVERY:
                assert before.state in ("error", "recovering")
        assert plan.steps[-1].state in TERMINAL


def test_only_forced_recoveries_follow_within_the_cool_down() -> None:
    for plan in drawn("pipeline", error_share=1, recover_share=1):
        actions = [step.action for step in plan.steps]
        assert actions.count(Action.START_RECOVERY) == 1
        for before, step in pairwise(plan.steps):
            again = step.action is Action.FORCE_RECOVERY and before.state == "error"
            assert again == (step.refused is Obstacle.COOL_DOWN)


def test_some_updates_are_tried_in_vain() -> None:
    refused = {step.refused for plan in drawn("pipeline") for step in plan.steps}

    assert {Obstacle.UPDATED_LATER, Obstacle.OTHER_STATE} <= refused
