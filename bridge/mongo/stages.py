"""The aggregation pipeline of the change stream: the server shapes and filters the events.

However large a job is, an event contains only the fields that the bridge uses; job inputs never
leave the server. The projection comes first and the filter tests its result, so the condition for
a transition is defined once, and a transition to the state that the job already has is kept.
"""

import hashlib
from os.path import commonprefix
from typing import Any

from bson import json_util

from bridge.model.profile import Profile
from bridge.mongo import event_fields as fields

Stage = dict[str, Any]

_UPDATED_FIELDS = "$updateDescription.updatedFields"
_REMOVED = "$updateDescription.removedFields"
_TRUNCATED = "$updateDescription.truncatedArrays"


def shaping_stages(profile: Profile) -> list[Stage]:
    """Return the stages after ``$changeStream``; event_fields.py defines the shaped event."""
    job_id = profile.id_field
    common: Stage = {
        fields.OPERATION: "$operationType",
        fields.WALL_TIME: "$wallTime",
        fields.DOCUMENT_KEY: "$documentKey._id",
        # In a collection sharded on the job id, the document key of an update contains it too.
        fields.JOB_ID: {"$ifNull": [f"$fullDocument.{job_id}", f"$documentKey.{job_id}"]},
        fields.CHANGED_ID: {
            "$cond": [
                {"$in": [job_id, _or_empty(_REMOVED)]},
                None,
                f"{_UPDATED_FIELDS}.{job_id}",
            ]
        },
    }
    if profile.transitions_field is None:
        return [
            {"$project": {**common, **_latest_state(profile)}},
            _relevant(fields.STATE, fields.CHANGED_ID),
        ]
    return [
        {"$project": {**common, **_history(profile)}},
        _relevant(fields.CHANGED_ID, {fields.CHANGES: {"$ne": []}}),
    ]


def fingerprint(profile: Profile) -> str:
    """Identify the stages: the server may refuse a token made under other stages (code 280)."""
    stages = json_util.dumps(shaping_stages(profile), sort_keys=True)
    return hashlib.sha256(stages.encode()).hexdigest()[:16]


def _relevant(*conditions: str | Stage) -> Stage:
    """Keep updates that meet a condition or have a field, and all events but updates."""
    exist = [
        {condition: {"$exists": True}} if isinstance(condition, str) else condition
        for condition in conditions
    ]
    return {"$match": {"$or": [{fields.OPERATION: {"$ne": "update"}}, *exist]}}


def _history(profile: Profile) -> Stage:
    stage: Stage = {fields.CHANGES: _changes(profile)}
    for name, field in (
        (fields.WHOLE_HISTORY, profile.transitions_field),
        (fields.WHOLE_ARCHIVE, profile.archive_field),
    ):
        if field:
            array = f"$fullDocument.{field}"
            elements = _elements(profile, array)
            kind = {"$type": array}
            absent = {"$in": [kind, ["missing", "null"]]}
            other = {"$cond": [absent, "$$REMOVE", kind]}
            stage[name] = {"$cond": [{"$isArray": array}, elements, other]}
    return stage


def _changes(profile: Profile) -> Stage:
    """Return the changes of the history that can be, or can hide, a transition.

    These are new elements, the state, time or identity of an element rewritten in place, arrays
    that are truncated or set as a whole, and removed fields; not a flag such as ``notif_sent``.
    """
    updated = _each(
        {"$objectToArray": {"$ifNull": [_UPDATED_FIELDS, {}]}},
        _is_below(profile, "$$e.k"),
        {
            "$cond": [
                {"$eq": [{"$type": "$$e.v"}, "object"]},
                {fields.PATH: "$$e.k", **_element(profile, "$$e.v")},
                _value(profile),
            ]
        },
    )
    truncated = _each(
        _or_empty(_TRUNCATED),
        {"$in": ["$$e.field", list(profile.history_fields)]},
        {fields.PATH: "$$e.field", fields.SIZE: "$$e.newSize"},
    )
    removed = _each(
        _or_empty(_REMOVED),
        _is_below(profile, "$$e"),
        {fields.PATH: "$$e", fields.REMOVED: {"$literal": True}},
    )
    # Nearly every update neither truncates nor removes, and evaluates one of the three.
    only_updated = {
        "$and": [{"$eq": [_or_empty(array), []]} for array in (_TRUNCATED, _REMOVED)],
    }
    return {"$cond": [only_updated, updated, {"$concatArrays": [updated, truncated, removed]}]}


def _value(profile: Profile) -> Stage:
    """Return a change whose value is not a document: an array, or a field of an element."""
    elements = _elements(profile, "$$e.v")
    return {
        "$cond": [
            {"$isArray": "$$e.v"},
            {fields.PATH: "$$e.k", fields.ELEMENTS: elements},
            {fields.PATH: "$$e.k", fields.VALUE: "$$e.v"},
        ]
    }


def _or_empty(array: str) -> Stage:
    return {"$ifNull": [array, []]}


def _each(array: Stage, condition: Stage, result: Stage) -> Stage:
    """Map the elements of an array that meet a condition; ``$$e`` is an element."""
    selected = {"$filter": {"input": array, "as": "e", "cond": condition}}
    return {"$map": {"input": selected, "as": "e", "in": result}}


def _is_below(profile: Profile, path: str) -> Stage:
    """Whether a path is that of an array, an element, or a field of a transition."""
    arrays = list(profile.history_fields)
    names = (profile.transition_state, profile.transition_time, profile.transition_trans_id)
    # Most fields are elsewhere, and this comparison excludes them faster than the others. Paths
    # are compared by their characters.
    prefix = commonprefix(arrays)  # noqa: RUF071
    near = {"$eq": [{"$indexOfBytes": [path, prefix]}, 0]}
    # Names that are not UTF-8 fail in a regular expression, but not here.
    parts = {"$split": [path, "."]}
    after_index = {"$slice": [parts, 2, 9]}
    return {
        "$and": [
            near,
            {"$in": [{"$arrayElemAt": [parts, 0]}, arrays]},
            {"$in": [after_index, [[], *([name] for name in names)]]},
        ]
    }


def _elements(profile: Profile, array: str) -> Stage:
    # MongoDB leaves null where an element was unset.
    element = {"$cond": [{"$eq": ["$$e", None]}, None, _element(profile, "$$e")]}
    return {"$map": {"input": array, "as": "e", "in": element}}


def _element(profile: Profile, path: str) -> Stage:
    return {
        fields.STATE: f"{path}.{profile.transition_state}",
        fields.TIME: f"{path}.{profile.transition_time}",
        fields.TRANS_ID: f"{path}.{profile.transition_trans_id}",
    }


def _latest_state(profile: Profile) -> Stage:
    latest: Stage = {fields.STATE: _new_value(profile.state_field)}
    if profile.updated_field:
        latest[fields.UPDATED] = _new_value(profile.updated_field)
    return latest


def _new_value(field: str) -> Stage:
    return {"$ifNull": [f"{_UPDATED_FIELDS}.{field}", f"$fullDocument.{field}", "$$REMOVE"]}
