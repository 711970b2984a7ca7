"""Runs the simulated job service to its end, and compares its commits with its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.servers.mongo import MongoDeployment
from tests.support.simulator import Commit, Indeterminate, Workload, play

Outcome = Commit | Indeterminate
#: Job id, ordinal, state, and identity of a transition.
Line = tuple[str, int, str, str]


def run(
    server: MongoDeployment, database: str, workload: Workload, on_commit: Callable[[Outcome], None]
) -> None:
    """Run the jobs of the workload to their end."""

    async def whole() -> None:
        await play(server.uri, database, workload, stop=asyncio.Event(), on_commit=on_commit)

    asyncio.run(asyncio.wait_for(whole(), 120))


def elements(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The whole history of a job: its archive, then the current array."""
    return [*job.get("trans_history", ()), *job["transition_times"]]


def history(job: dict[str, Any]) -> list[Line]:
    """The whole history of a job as its commits must have been reported."""
    return [
        (job["id"], sequence, element["state"], element["trans_id"])
        for sequence, element in enumerate(elements(job))
    ]


def committed(outcomes: Sequence[Outcome]) -> list[Line]:
    """All commits, by job and ordinal."""
    commits = [outcome for outcome in outcomes if isinstance(outcome, Commit)]
    return sorted(
        (commit.job_id, commit.sequence, commit.state, commit.trans_id) for commit in commits
    )
