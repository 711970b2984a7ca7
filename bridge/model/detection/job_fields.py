"""Finds the job id, the latest state and the time of the last update of a job."""

import re
from collections.abc import Iterator, Mapping, Sequence

from bridge.model.detection.arrays import ArrayOfDocuments
from bridge.model.detection.candidates import Candidate, name_problem
from bridge.model.detection.names import ID, STATE, UPDATED, likeness
from bridge.model.detection.values import (
    MOST,
    Field,
    Indexes,
    kind_of,
    seconds_of,
    share,
)

#: Types of ``_id`` that have a text, see ``bridge/mongo/job_ids.py``.
_ID_TYPES = ("string", "uuid", "objectId", "int", "long", "decimal", "date")
#: The score of ``_id``, unless a field with the name of a job id or a unique index replaces it.
_BEST = 100
_ENOUGH_FOR_ID = 3
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: More states than this, and more than half of the sample, are not states.
_FEW = 5
_TIMES = ("date", "int", "long", "double")
#: Seconds of the years 1973 and 5138; larger numbers count milliseconds.
_MIN_SECONDS, _MAX_SECONDS = 100_000_000, 100_000_000_000


def id_candidates(fields: Mapping[str, Field], indexes: Indexes) -> list[Candidate]:
    """Return the fields that may be the job id; ``_id`` counts if no other has much evidence."""
    others = [
        candidate
        for name, field in fields.items()
        if name != "_id" and (candidate := _id_candidate(field, indexes))
    ]
    document_id = fields.get("_id")
    return [*([_document_id(document_id, others)] if document_id else []), *others]


def _document_id(field: Field, others: Sequence[Candidate]) -> Candidate:
    problem = "" if field.mostly(*_ID_TYPES) else f"{field.types} has no text for a message key"
    replaced = any(
        not candidate.problem and candidate.score >= _ENOUGH_FOR_ID for candidate in others
    )
    evidence = "the document's own id" + ("; another field is the job id" if replaced else "")
    score = 0 if replaced else _BEST
    return Candidate(
        "id_field", field.name, field.seen, field.of, field.types, score, evidence, problem
    )


def _id_candidate(field: Field, indexes: Indexes) -> Candidate | None:
    is_unique = field.name in indexes.unique
    alike = likeness(field.name, ID)
    is_text = field.mostly("string")
    if not field.kinds or not (is_unique or alike == 3 or (alike == 2 and is_text)):
        return None
    texts = field.texts()
    problem = field.not_text() or name_problem(field.name)
    if is_text and len(set(texts)) < len(texts):
        problem = "several jobs have the same value"
    reasons = [f"{len(set(texts))} different values"] if texts else []
    reasons += ["a unique index"] if is_unique else []
    score: float = alike + 3 * is_unique
    if texts and share(_UUID.fullmatch(text) is not None for text in texts) >= MOST:
        score += 1 / 2
        reasons.append("UUIDs")
    evidence = ", ".join(reasons) or "the name of an id"
    return Candidate(
        "id_field", field.name, field.seen, field.of, field.types, score, evidence, problem
    )


def state_candidates(
    fields: Mapping[str, Field], arrays: Sequence[ArrayOfDocuments]
) -> list[Candidate]:
    """Return the fields that may be the latest state, also those that the bridge cannot read."""
    candidates = []
    for field in fields.values():
        if candidate := _state_candidate(field, arrays):
            candidates.append(candidate)
        candidates += _nested_states(field)
    return candidates


def _state_candidate(field: Field, arrays: Sequence[ArrayOfDocuments]) -> Candidate | None:
    alike = likeness(field.name, STATE)
    texts = field.texts()
    is_text = field.mostly("string")
    has_few = len(set(texts)) <= max(_FEW, field.of // 2)
    linked = [array.field.name for array in arrays if is_text and array.links(field.values) >= MOST]
    if not (linked and has_few) and alike < 2:
        return None
    problem = field.not_text() or name_problem(field.name)
    if is_text and not has_few:
        problem = "nearly every job has another value"
    evidence = f"{len(set(texts))} different values" if is_text else "the name of a state"
    if linked:
        evidence += f"; equals the last entry of {', '.join(linked)}"
    score = alike + 4 * bool(linked)
    return Candidate(
        "state_field", field.name, field.seen, field.of, field.types, score, evidence, problem
    )


def _nested_states(field: Field) -> Iterator[Candidate]:
    objects = [value for value in field.values if isinstance(value, dict)]
    for name in dict.fromkeys(name for value in objects for name in value):
        inner = Field(
            name,
            [value.get(name) if isinstance(value, dict) else None for value in field.values],
        )
        if likeness(name, STATE) == 3 and inner.mostly("string"):
            yield Candidate(
                "state_field",
                f"{field.name}.{name}",
                inner.seen,
                inner.of,
                inner.types,
                1,
                "the name of a state",
                "it is inside another field, not at the top level",
            )


def updated_candidates(
    fields: Mapping[str, Field],
    current: ArrayOfDocuments | None,
    time: str,
    indexes: Indexes,
) -> list[Candidate]:
    """Return the fields that may be the time of the last update.

    A date that is never older than the last transition, or any date of jobs without a history, is
    shown only: a usual name, or the time of the last transition itself, is evidence enough.

    Args:
        current: the history, or None.
        time: the time of an entry of the history.
    """
    times = current.times(time) if current else []
    return [
        candidate
        for field in fields.values()
        if (candidate := _updated_candidate(field, times, indexes))
    ]


def _updated_candidate(
    field: Field, times: Sequence[Sequence[float]], indexes: Indexes
) -> Candidate | None:
    alike = likeness(field.name, UPDATED)
    pairs = [
        (seconds - max(job), len(job))
        for value, job in zip(field.values, times, strict=False)
        if job and (seconds := seconds_of(value)) is not None
    ]
    # The first transition is at the time of creation, too.
    equal = share(abs(later) < 1 for later, count in pairs if count > 1) >= MOST
    is_older = bool(pairs) and share(later > -1 for later, _ in pairs) < MOST
    is_known = bool(alike or equal)
    if not is_known and (is_older or not field.mostly("date")):
        return None
    problem = name_problem(field.name) or _not_a_time(field)
    if not problem and is_older:
        problem = "it is often older than the last transition"
    reasons = ["equals the time of the last transition"] if equal else []
    reasons += ["an index"] if field.name in indexes.leading else []
    score = (alike + 3 * equal + (field.name in indexes.leading)) * is_known
    if not is_known:
        reasons.insert(0, "a date" + ", not older than the last transition" * bool(pairs))
    evidence = ", ".join(reasons) or "the name of an update time"
    return Candidate(
        "updated_field",
        field.name,
        field.seen,
        field.of,
        field.types,
        score,
        evidence,
        problem,
    )


def _not_a_time(field: Field) -> str:
    """Return why the values are not usable times; empty if they are."""
    if field.seen < MOST * field.of:
        return "many jobs lack it"
    if not field.mostly(*_TIMES):
        return f"it is {field.types}, not date or seconds"
    numbers = [float(value) for value in field.values if kind_of(value) in _TIMES[1:]]
    if any(number > _MAX_SECONDS for number in numbers):
        return "its numbers are milliseconds, not seconds"
    if any(number < _MIN_SECONDS for number in numbers):
        return "its numbers are not times"
    return ""
