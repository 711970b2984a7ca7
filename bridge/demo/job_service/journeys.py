"""Draws the journeys of jobs: clusters, ends, recoveries, and the writes of each step."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from random import Random

from bridge.demo.job_service.workload import (
    CANCELING,
    CLUSTERS,
    FAILING,
    HAPPY,
    RECOVERING,
    Action,
    Journey,
    Obstacle,
    Step,
    Workload,
)

#: How often a recovered job fails again.
FAIL_AGAIN_SHARE = 0.5
#: How often a recovery is forced to start again while it is under way.
FORCE_AGAIN_SHARE = 0.5
#: How often the service tries an update that has no effect.
REFUSED_SHARE = 0.2


def journey(random: Random, workload: Workload) -> Journey:
    """Draw a job's cluster, its end, and the writes of each step."""
    pipelines = workload.writes == "pipeline" or (
        workload.writes == "both" and random.random() < 0.5
    )
    cluster = random.choice(CLUSTERS)
    states = _states(random, workload, workload.error_share)
    steps = tuple(_step(state, cluster, random) for state in states)
    if pipelines:
        steps = (*_with_refusals(steps, random), *_recoveries(steps, cluster, random, workload))
    return Journey(cluster, steps, pipelines)


def _recoveries(
    steps: tuple[Step, ...], cluster: str, random: Random, workload: Workload
) -> Iterator[Step]:
    """Draw the recoveries of a job that fails, for as long as its attempts fail."""
    recovered_before = False
    while steps[-1].state == "error" and random.random() < workload.recover_share:
        if recovered_before:
            # The cool-down after the recovery before is not over: the service has to insist.
            yield Step(RECOVERING, action=Action.FORCE_RECOVERY, refused=Obstacle.COOL_DOWN)
        else:
            yield Step(RECOVERING, action=Action.START_RECOVERY)
        while random.random() < FORCE_AGAIN_SHARE:
            yield Step(RECOVERING, action=Action.FORCE_RECOVERY, refused=Obstacle.OTHER_STATE)
        states = _states(random, workload, FAIL_AGAIN_SHARE, shortest=2)[1:]
        steps = tuple(_step(state, cluster, random) for state in states)
        yield Step(states[0], steps[0].push, steps[0].fields, action=Action.RECOVER)
        yield from _with_refusals(steps, random)[1:]
        recovered_before = True


def _with_refusals(steps: tuple[Step, ...], random: Random) -> tuple[Step, ...]:
    """Draw the steps that the service tries in vain before it succeeds."""
    kinds = (Obstacle.UPDATED_LATER, Obstacle.OTHER_STATE)
    return (
        steps[0],
        *(
            Step(
                step.state,
                step.push,
                step.fields,
                refused=random.choice(kinds) if random.random() < REFUSED_SHARE else None,
            )
            for step in steps[1:]
        ),
    )


def _states(
    random: Random, workload: Workload, error_share: float, shortest: int = 1
) -> tuple[str, ...]:
    """Draw the states of an attempt; a canceled job has reached ``shortest`` states or more."""
    draw = random.random()
    if draw < error_share:
        return FAILING
    if draw < error_share + workload.cancel_share:
        return (*HAPPY[: random.randint(shortest, len(HAPPY) - 1)], *CANCELING)
    return HAPPY


def _step(state: str, cluster: str, random: Random) -> Step:
    pushes = _kbase_pushes if cluster == "kbase" else _jaws_pushes
    return Step(state, pushes(state, random), _fields(state, random))


def _jaws_pushes(state: str, random: Random) -> Mapping[str, object]:
    task = str(uuid.UUID(int=random.getrandbits(128), version=4))
    arrays = {
        "download_submitted": "nersc_details.download_task_id",
        "job_submitted": "jaws_details.run_id",
        "upload_submitted": "nersc_details.upload_task_id",
        "error_processing_submitted": "nersc_details.log_upload_task_id",
    }
    return {arrays[state]: task} if state in arrays else {}


def _kbase_pushes(state: str, random: Random) -> Mapping[str, object]:
    if state == "download_submitted":
        return {"htcondor_details.cluster_id": random.randint(1, 99_999)}
    return {}


def _fields(state: str, random: Random) -> Mapping[str, object]:
    if state == "complete":
        outputs = [{"file": "cts/io/myuser/out/quality_report.tsv", "crc64nvme": "4YocWC/iHHg="}]
        return {"outputs": outputs, "output_file_count": len(outputs), **_usage(random)}
    if state == "error":
        return {**_failure(), **_usage(random)}
    return _usage(random) if state == "canceled" else {}


def _usage(random: Random) -> Mapping[str, object]:
    return {
        "cpu_hours": round(random.uniform(0.1, 90), 2),
        "cpu_factor": round(random.random(), 2),
        "max_memory": random.randrange(64_000_000_000),
    }


def _failure() -> Mapping[str, object]:
    return {
        "error": "An unexpected error occurred",
        "admin_error": "The container exited with code 1",
        "traceback": None,
        "logpath": "cts/logs/myuser/container-0-stderr.txt",
    }
