"""Finds the array of a job's transitions, and histories that the bridge cannot read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.model.detection.arrays import ArrayOfDocuments
from bridge.model.detection.candidates import Candidate, name_problem
from bridge.model.detection.names import ELEMENT_TIME, HISTORY, STATE, likeness
from bridge.model.detection.values import MOST, Field, kind_of, percent, share

_HISTORY = "transitions_field"


def history_candidates(
    fields: Mapping[str, Field], arrays: Sequence[ArrayOfDocuments], states: Sequence[Any]
) -> list[Candidate]:
    """Return the fields that may be the history, also in forms that the bridge cannot read.

    Args:
        states: the state of each job.
    """
    known = {array.field.name for array in arrays}
    others = [field for name, field in fields.items() if name not in known]
    return [
        *(candidate for array in arrays if (candidate := _of_array(array, states))),
        *(candidate for field in others for candidate in _of_other(field, states)),
    ]


def archive_candidates(
    arrays: Sequence[ArrayOfDocuments], current: ArrayOfDocuments, state: str, time: str
) -> list[Candidate]:
    """Return the arrays whose entries have the fields of the history and precede it.

    Args:
        state, time: the fields of an entry of the history.
    """
    candidates = []
    first = [min(times, default=None) for times in current.times(time)]
    for array in arrays:
        if array is current or not {state, time} <= array.inner.keys():
            continue
        pairs = [
            (max(times), start)
            for times, start in zip(array.times(time), first, strict=True)
            if times and start is not None
        ]
        if pairs and share(last <= start for last, start in pairs) >= MOST:
            field = array.field
            evidence = f"its entries precede those of {current.field.name}"
            score = 1 + likeness(field.name, HISTORY)
            candidates.append(_candidate("archive_field", field, score, evidence))
    return candidates


def _candidate(
    setting: str, field: Field, score: float, evidence: str, problem: str = "", path: str = ""
) -> Candidate:
    problem = problem or name_problem(field.name)
    name = path or field.name
    return Candidate(setting, name, field.seen, field.of, field.types, score, evidence, problem)


def _of_array(array: ArrayOfDocuments, states: Sequence[Any]) -> Candidate | None:
    link = array.links(states)
    alike = likeness(array.field.name, HISTORY)
    if link < MOST and (alike < 2 or not any(array.jobs)):
        return None
    problem = _unlinked(array, states) if link < MOST else _without_time(array)
    evidence = (
        f"the last entry contains the state in {percent(link)} of the jobs"
        if link >= MOST
        else "the name of a history"
    )
    return _candidate(_HISTORY, array.field, 4 * (link >= MOST) + alike, evidence, problem)


def _unlinked(array: ArrayOfDocuments, states: Sequence[Any]) -> str:
    """Return why the entries of an array with the name of a history are not transitions."""
    for name, field in array.inner.items():
        if array.link(name, states, 0) >= MOST and not field.mostly("date"):
            return "its newest entry comes first; the bridge reads the oldest first"
    for name, field in array.inner.items():
        if likeness(name, STATE) > 1 and not field.mostly("string"):
            return f"the state {name} of an entry: {field.not_text('entries')}"
    return "no field of its last entry equals the state of the job"


def _without_time(array: ArrayOfDocuments) -> str:
    """Return why the entries of an array have no usable time; empty if they have one."""
    if dates := array.dates():
        names = [candidate.name for candidate in dates]
        if max(array.ascending(name) for name in names) < MOST and _several_entries(array):
            return f"its entries are not in the order of {' or '.join(names)}"
        return ""
    for name, field in array.inner.items():
        if likeness(name, ELEMENT_TIME) > 1:
            return f"the time {name} of an entry is {field.types}, not date"
    return "its entries contain no date"


def _several_entries(array: ArrayOfDocuments) -> bool:
    return any(len(job) > 1 for job in array.jobs)


def _of_other(field: Field, states: Sequence[Any]) -> Iterator[Candidate]:
    """Yield histories in forms that the bridge cannot read."""
    alike = likeness(field.name, HISTORY)
    lists = [value for value in field.values if isinstance(value, list) and value]
    elements = [element for value in lists for element in value]
    if alike and share(kind_of(element) == "array" for element in elements) >= MOST:
        yield _unreadable(field, alike, "its entries are arrays, not documents with named fields")
    elif elements and share(isinstance(element, str) for element in elements) >= MOST:
        last = [value[-1] if isinstance(value, list) and value else None for value in field.values]
        pairs = zip(last, states, strict=True)
        if share(entry == state for entry, state in pairs if entry is not None) >= MOST:
            yield _unreadable(field, 4 + alike, "its entries are states without a time")
    objects = [value for value in field.values if isinstance(value, dict)]
    if _is_map(objects, states, alike):
        problem = "it is an object with a field for each state, not an array of transitions"
        yield _unreadable(field, 4 + alike, problem)
        return
    yield from _nested(field, objects)


def _is_map(objects: Sequence[Mapping[str, Any]], states: Sequence[Any], alike: int) -> bool:
    """Whether the fields of the objects are named after states, or contain dates."""
    names = [name for value in objects for name in value]
    known = {state for state in states if isinstance(state, str)}
    if names and share(name in known for name in names) >= 1 / 2:
        return True
    kinds = [kind_of(inner) for value in objects for inner in value.values()]
    return bool(alike and names) and share(kind in ("date", "object") for kind in kinds) >= MOST


def _nested(field: Field, objects: Sequence[Mapping[str, Any]]) -> Iterator[Candidate]:
    """Yield the arrays below an object whose names are those of a history."""
    names = dict.fromkeys(name for value in objects for name in value)
    for name in names:
        inner = Field(name, [_inner(value, name) for value in field.values])
        if likeness(name, HISTORY) > 1 and inner.kinds["array"]:
            path = f"{field.name}.{name}"
            yield _unreadable(inner, 1, "it is inside another field, not at the top level", path)


def _inner(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _unreadable(field: Field, score: float, problem: str, path: str = "") -> Candidate:
    return _candidate(_HISTORY, field, score, "looks like a history", problem, path)
