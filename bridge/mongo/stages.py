"""The aggregation pipeline of the change stream: the server shapes and filters the events.

However large a job is, an event contains only the fields that the bridge uses; job inputs never
leave the server. The projection comes first and the filter tests its result, so the condition for
a transition is defined once, and a transition to the state that the job already has is kept.
"""

import hashlib
from typing import Any

from bson import json_util

from bridge.model.profile import Profile
from bridge.mongo import event_fields as fields

Stage = dict[str, Any]

_UPDATED_FIELDS = "$updateDescription.updatedFields"


def shaping_stages(profile: Profile) -> list[Stage]:
    """Return the stages after ``$changeStream``; event_fields.py defines the shaped event."""
    job_id = profile.id_field
    common: Stage = {
        fields.OPERATION: "$operationType",
        fields.WALL_TIME: "$wallTime",
        fields.DOCUMENT_KEY: "$documentKey._id",
        # In a collection sharded on the job id, the document key of an update contains it too.
        fields.JOB_ID: {"$ifNull": [f"$fullDocument.{job_id}", f"$documentKey.{job_id}"]},
    }
    if profile.transitions_field is None:
        return [
            {"$project": {**common, **_latest_state(profile)}},
            _with_transition({fields.STATE: {"$exists": True}}),
        ]
    return [
        {"$project": {**common, **_history(profile, profile.transitions_field)}},
        _with_transition({fields.CHANGES: {"$ne": []}}, {fields.WHOLE_HISTORY: {"$exists": True}}),
    ]


def fingerprint(profile: Profile) -> str:
    """Identify the stages: the server may refuse a token made under other stages (code 280)."""
    stages = json_util.dumps(shaping_stages(profile), sort_keys=True)
    return hashlib.sha256(stages.encode()).hexdigest()[:16]


def _with_transition(*conditions: Stage) -> Stage:
    return {"$match": {"$or": [{fields.OPERATION: {"$ne": "update"}}, *conditions]}}


def _history(profile: Profile, history: str) -> Stage:
    rewritten = f"{_UPDATED_FIELDS}.{history}"
    document = f"$fullDocument.{history}"
    is_document = {"$eq": [{"$type": "$$e.v"}, "object"]}
    change = {
        fields.PATH: "$$e.k",
        **_element(profile, "$$e.v"),
        fields.VALUE: {"$cond": [is_document, "$$REMOVE", "$$e.v"]},
    }
    changes = _changes(profile, history, is_document)
    return {
        fields.JOB_STATE: f"{_UPDATED_FIELDS}.{profile.state_field}",
        fields.CHANGES: {"$map": {"input": changes, "as": "e", "in": change}},
        fields.WHOLE_HISTORY: {
            "$switch": {
                "branches": [
                    {"case": {"$isArray": rewritten}, "then": _elements(profile, rewritten)},
                    {"case": {"$isArray": document}, "then": _elements(profile, document)},
                ],
                "default": "$$REMOVE",
            }
        },
    }


def _changes(profile: Profile, history: str, is_document: Stage) -> Stage:
    """Select the updated fields below the history that can be a transition.

    These are new elements, and the state, time or identity of an element rewritten in place; not a
    flag such as ``notif_sent``.
    """
    prefix = f"{history}."
    names = "|".join(
        (profile.transition_state, profile.transition_time, profile.transition_trans_id)
    )
    in_place = {"$regexMatch": {"input": "$$e.k", "regex": rf"^{history}\.\d+\.({names})$"}}
    below = {"$eq": [{"$indexOfBytes": ["$$e.k", prefix]}, 0]}
    return {
        "$filter": {
            "input": {"$objectToArray": {"$ifNull": [_UPDATED_FIELDS, {}]}},
            "as": "e",
            "cond": {"$and": [below, {"$or": [is_document, in_place]}]},
        }
    }


def _elements(profile: Profile, array: str) -> Stage:
    return {"$map": {"input": array, "as": "e", "in": _element(profile, "$$e")}}


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
