"""The writes of the newest CTS: pipeline updates with conditions, and the recovery of a job.

An update whose condition is false changes nothing, so that there is no change event. The service
sees it in the answer, which contains the newest transition of the job.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bridge.demo.job_service.workload import (
    TERMINAL,
    Action,
    Commit,
    Document,
    Obstacle,
    Step,
    first_transition,
    later_transition,
    new_id,
)

#: A recovery may start again this long after the last one, unless it is forced. The service waits
#: 10 minutes; here it is longer, so that the cool-down is never over in a slow run.
COOL_DOWN = timedelta(days=1)
ENDING = (*TERMINAL, "canceling")
#: The fields of the answer: the newest transition.
ANSWER: Document = {"state": 1, "transition_times": {"$slice": -1}}
_TICK = timedelta(milliseconds=1)

Pipeline = list[Document]


class ConditionalUpdate(NamedTuple):
    """The arguments of ``find_one_and_update``."""

    query: Document
    pipeline: Pipeline


def time_of(step: Step, last: Commit, now: datetime) -> datetime:
    """The time of the step after ``last``.

    A forced recovery is later than the last one, so that repeating its write has no effect.
    """
    earliest = last.time + _TICK if step.action is Action.FORCE_RECOVERY else last.time
    return max(now, earliest)


def update_of(step: Step, last: Commit, commit: Commit) -> ConditionalUpdate:
    """The update that brings a job from ``last`` to ``commit``."""
    if step.action is Action.RECOVER:
        return _recover(step, last, commit)
    conditions = [_not_updated_after(commit.time), _is_in(last.state)]
    if step.action is Action.ADVANCE:
        return _conditional(step, commit, conditions)
    forced = step.action is Action.FORCE_RECOVERY
    started_before = commit.time if forced else commit.time - COOL_DOWN
    recovering = Step(step.state, step.push, {**step.fields, "_last_recover": commit.time})
    return _conditional(recovering, commit, [*conditions, _not_recovered_since(started_before)])


def refused_update(obstacle: Obstacle, step: Step, last: Commit) -> ConditionalUpdate:
    """An update of the job at ``last`` that ``obstacle`` keeps from having an effect."""
    time, state = last.time, step.state
    conditions = [_is_in(last.state)]
    if obstacle is Obstacle.UPDATED_LATER:
        time = last.time - timedelta(seconds=1)
    elif obstacle is Obstacle.OTHER_STATE:
        conditions = [_is_in("upload_submitted" if last.state == "created" else "created")]
    elif obstacle is Obstacle.ENDED:
        state, conditions = "canceling", [_is_not_in(*ENDING)]
    else:
        conditions = [*conditions, _not_recovered_since(time - COOL_DOWN)]
    commit = Commit(last.job_id, last.sequence + 1, state, time, new_id())
    return _conditional(Step(state), commit, [_not_updated_after(time), *conditions])


def newest_trans_id(answer: Document | None) -> str:
    """The identity of the newest transition in an answer; empty if there is no such job."""
    return "" if answer is None else str(answer["transition_times"][-1]["trans_id"])


def _conditional(step: Step, commit: Commit, conditions: list[Document]) -> ConditionalUpdate:
    entry = later_transition(commit.state, commit.time, commit.trans_id)
    values: dict[str, Any] = {
        "state": _literal(commit.state),
        "_update_time": commit.time,
        "transition_times": {"$concatArrays": ["$transition_times", [_literal(entry)]]},
        **{name: _literal(value) for name, value in step.fields.items()},
        **_appended(step),
    }
    condition = {"$and": conditions}
    changes = {name: {"$cond": [condition, value, f"${name}"]} for name, value in values.items()}
    return ConditionalUpdate({"id": commit.job_id}, [{"$set": changes}])


def _recover(step: Step, last: Commit, commit: Commit) -> ConditionalUpdate:
    """Archive the history of a job, and start it again with a single transition."""
    entry = first_transition(commit.state, commit.time, commit.trans_id)
    changes: Document = {
        "trans_history": {"$concatArrays": [_array("trans_history"), "$transition_times"]},
        "transition_times": [_literal(entry)],
        "state": _literal(commit.state),
        "_update_time": commit.time,
        "cleaned": False,
        "admin_error_history": {"$concatArrays": [_array("admin_error_history"), ["$admin_error"]]},
        **{name: _literal(value) for name, value in step.fields.items()},
        **_appended(step),
    }
    query = {"id": commit.job_id, "state": last.state, "_update_time": {"$lte": commit.time}}
    return ConditionalUpdate(
        query, [{"$set": changes}, {"$unset": ["error", "admin_error", "traceback"]}]
    )


def _appended(step: Step) -> Document:
    return {
        name: {"$concatArrays": [_array(name), [_literal(value)]]}
        for name, value in step.push.items()
    }


def _array(name: str) -> Document:
    return {"$ifNull": [f"${name}", []]}


def _literal(value: object) -> Document:
    return {"$literal": value}


def _not_updated_after(time: datetime) -> Document:
    return {"$lte": ["$_update_time", time]}


def _is_in(state: str) -> Document:
    return {"$eq": ["$state", state]}


def _is_not_in(*states: str) -> Document:
    return {"$not": [{"$in": ["$state", list(states)]}]}


def _not_recovered_since(time: datetime) -> Document:
    never: Document = {"$eq": [{"$ifNull": ["$_last_recover", None]}, None]}
    return {"$or": [never, {"$lt": ["$_last_recover", time]}]}
