"""The indexes of the simulated service on its jobs."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING, IndexModel

from bridge.demo.job_service.workload import TERMINAL, Kind


def indexes(kind: Kind = "jobs") -> list[IndexModel]:
    """The indexes of the service on its jobs."""
    if kind == "pipeline_jobs":
        return [unique_id()]
    newest = ("_update_time", DESCENDING)
    cluster = ("job_input.cluster", ASCENDING)
    state, user = ("state", ASCENDING), ("user", ASCENDING)
    plain = [[newest], [state, newest], [cluster, newest], [user, newest]]
    plain += [[user, state, newest], [user, cluster, newest]]
    unsent = IndexModel(
        [("transition_times.time", DESCENDING)],
        partialFilterExpression={"transition_times.notif_sent": False},
    )
    unclean = IndexModel(
        [("cleaned", ASCENDING), ("state", ASCENDING), ("_update_time", ASCENDING)],
        partialFilterExpression={"cleaned": False, "state": {"$in": list(TERMINAL)}},
    )
    return [unique_id(), *(IndexModel(keys) for keys in plain), unsent, unclean]


def unique_id() -> IndexModel:
    return IndexModel([("id", ASCENDING)], unique=True)
