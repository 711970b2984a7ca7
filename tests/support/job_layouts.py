"""Collections of jobs in layouts of several services, as documents without a database."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bson.objectid import ObjectId

Documents = list[dict[str, Any]]

START = datetime(2026, 3, 2, 18, 4, 11, 918_000)
PATH = ("created", "queued", "running", "complete")


def moment(job: int, step: int) -> datetime:
    return START + timedelta(hours=job, seconds=7 * step)


def text_id() -> str:
    return str(uuid.uuid4())


def _path(job: int) -> list[tuple[str, datetime]]:
    """The states of a job with their times; jobs end in different states."""
    return [(state, moment(job, step)) for step, state in enumerate(PATH[: 1 + job % len(PATH)])]


def _jobs(make: Callable[[int, list[tuple[str, datetime]]], dict[str, Any]]) -> Documents:
    return [{"_id": ObjectId(), **make(job, _path(job))} for job in range(20)]


def cts(*, recovered: bool = False) -> Documents:
    """Jobs of the CDM Task Service; every fourth was started again if ``recovered``."""

    def make(job: int, path: list[tuple[str, datetime]]) -> dict[str, Any]:
        entries = [
            {"state": state, "time": time, "trans_id": text_id(), "notif_sent": True, "_retry": 0}
            for state, time in path
        ]
        document = {
            "id": text_id(),
            "state": path[-1][0],
            "transition_times": entries,
            "user": f"user{job % 3}",
            "admin_meta": {"a.b": 1, "$c": 2},
            "job_input": {"cluster": "kbase", "params": {"args": [["secret"]]}, "state": "no"},
            "image": {"name": "image", "tag": "1", "registered_on": START},
            "outputs": [{"file": "a", "crc64nvme": "b"}],
            "cleaned": False,
            "_update_time": path[-1][1],
            "_retry": 0,
        }
        if recovered and job % 4 == 0:
            early = START - timedelta(days=1)
            document["trans_history"] = [
                {"state": state, "time": early, "trans_id": text_id(), "notif_sent": True}
                for state in ("created", "error")
            ]
        return document

    return _jobs(make)


def ee2() -> Documents:
    """Jobs of the Execution Engine: times are Unix seconds, and there is no history."""
    return _jobs(
        lambda job, path: {
            "user": "someuser",
            "wsid": job,
            "status": path[-1][0],
            "updated": path[-1][1].timestamp(),
            "queued": path[0][1].timestamp(),
            "batch_job": False,
            "job_input": {"method": "module.method", "params": [{}], "app_id": "a"},
            "child_jobs": [],
            "retry_ids": [],
            "scheduler_id": str(4711 + job),
        }
    )


def celery() -> Documents:
    """Results of Celery: the document's own id is that of the task; no history."""
    return [
        {
            "_id": text_id(),
            "status": path[-1][0].upper(),
            "result": {"status": "inner"},
            "traceback": None,
            "children": [[["parent", None], None]],
            "date_done": path[-1][1],
        }
        for path in map(_path, range(20))
    ]


def airflow() -> Documents:
    """Task instances of Airflow: ids that several documents share, and no history."""
    return _jobs(
        lambda job, path: {
            "dag_id": f"dag{job % 2}",
            "task_id": f"task{job % 5}",
            "run_id": f"manual__{job // 5}",
            "state": path[-1][0],
            "start_date": path[0][1],
            "end_date": path[-1][1] if len(path) == len(PATH) else None,
            "updated_at": path[-1][1],
            "try_number": 1,
        }
    )


def argo() -> Documents:
    """Workflows of Argo: everything is inside ``metadata``, ``spec`` and ``status``."""
    return _jobs(
        lambda job, path: {
            "metadata": {"name": f"workflow-{job}", "uid": text_id(), "labels": {"a.b/c": "d"}},
            "spec": {"entrypoint": "main", "arguments": {"parameters": []}},
            "status": {
                "phase": path[-1][0],
                "startedAt": path[0][1].isoformat(),
                "conditions": [{"type": "Completed", "status": "True"}],
            },
        }
    )


def temporal() -> Documents:
    """Workflows of Temporal: events have a time and a type, but not the state of the job."""
    return _jobs(
        lambda job, path: {
            "workflowId": f"order-{job}",
            "runId": text_id(),
            "status": path[-1][0],
            "lastUpdateTime": path[-1][1],
            "events": [
                {
                    "eventId": number,
                    "eventTime": time,
                    "eventType": f"Workflow{state}",
                    "attributes": {"input": "secret"},
                }
                for number, (state, time) in enumerate(path)
            ],
        }
    )


def home_made() -> Documents:
    """Names of its own, a history with identities, and an archive."""

    def make(job: int, path: list[tuple[str, datetime]]) -> dict[str, Any]:
        document = {
            "jobId": f"J-{job:04}",
            "currentStage": path[-1][0],
            "stageLog": [
                {"from": path[step - 1][0] if step else None, "to": state, "at": time}
                | {"eventId": text_id(), "seen_at": time, "by": "worker"}
                for step, (state, time) in enumerate(path)
            ],
            "touched": path[-1][1],
            "lastModified": path[-1][1],
        }
        if job % 5 == 0:
            document["earlierRuns"] = [
                {"to": "failed", "at": START - timedelta(days=1), "eventId": text_id()}
            ]
        return document

    return _jobs(make)


def epochs() -> Documents:
    """A history whose times are Unix seconds."""
    return _jobs(
        lambda job, path: {
            "id": text_id(),
            "status": path[-1][0],
            "history": [{"status": state, "ts": time.timestamp()} for state, time in path],
            "updated": path[-1][1].timestamp() * 1000,
        }
    )


def text_times() -> Documents:
    """A history whose times are texts."""
    return _jobs(
        lambda job, path: {
            "id": text_id(),
            "status": path[-1][0],
            "history": [{"status": state, "time": time.isoformat()} for state, time in path],
            "updated_at": path[-1][1].isoformat(),
        }
    )


def nested() -> Documents:
    """The state and the history are inside ``meta``."""
    return _jobs(
        lambda job, path: {
            "id": text_id(),
            "meta": {
                "status": path[-1][0],
                "history": [{"status": state, "time": time} for state, time in path],
            },
        }
    )


def history_as_map() -> Documents:
    """A date for each state."""
    return _jobs(
        lambda job, path: {
            "id": text_id(),
            "state": path[-1][0],
            "timestamps": dict(path),
        }
    )


def history_as_arrays() -> Documents:
    """Pairs of state and time."""
    return _jobs(
        lambda job, path: {
            "id": text_id(),
            "state": path[-1][0],
            "history": [[state, time] for state, time in path],
        }
    )


def states_only() -> Documents:
    """The states without their times."""
    return _jobs(
        lambda job, path: {
            "id": text_id(),
            "state": path[-1][0],
            "steps": [state for state, _ in path],
        }
    )


def newest_first() -> Documents:
    """A history that starts with the newest entry."""
    return _jobs(
        lambda job, path: {
            "id": text_id(),
            "state": path[-1][0],
            "history": [{"state": state, "time": time} for state, time in reversed(path)],
        }
    )
