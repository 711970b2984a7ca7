"""The aggregation pipeline of the change stream: the server shapes and filters the events.

An event arrives as little as the loop needs, however large the job is: job inputs never leave the
server. The shape comes first and the filter looks at its result, so that "carries a transition"
is said once, and a transition that happens to repeat the job's state is not lost.
"""

import hashlib
from typing import Any

from bson import json_util

from bridge.model.profile import Profile

Stage = dict[str, Any]

_UPDATED = "$updateDescription.updatedFields"


def shaping_stages(profile: Profile) -> list[Stage]:
    """The stages after ``$changeStream``. Fields of a shaped event:

    ``_id`` token (with the cluster time in it), ``o`` operation, ``w`` wall time, ``k`` the
    document's ``_id``, ``j`` job id where the event has it, ``n`` the job's new state, and the transitions: ``t`` new
    elements ``{k, s, d, i}`` of the history with their path (or, of an element rewritten in place,
    single values ``{k, v}``), ``a`` the whole history (insert, replace, rewritten), or, for a
    profile without history, ``s`` the new state and ``u`` its time.
    """
    common: Stage = {
        "o": "$operationType",
        "w": "$wallTime",
        "k": "$documentKey._id",
        # A collection sharded on the job id has it in the document key of updates too.
        "j": {"$ifNull": [f"$fullDocument.{profile.id_field}", f"$documentKey.{profile.id_field}"]},
    }
    if profile.transitions_field is None:
        return [{"$project": {**common, **_latest(profile)}}, _carries({"s": {"$exists": True}})]
    return [
        {"$project": {**common, **_history(profile, profile.transitions_field)}},
        _carries({"t": {"$ne": []}}, {"a": {"$exists": True}}),
    ]


def _carries(*conditions: Stage) -> Stage:
    return {"$match": {"$or": [{"o": {"$ne": "update"}}, *conditions]}}


def _history(profile: Profile, field: str) -> Stage:
    rewritten = f"{_UPDATED}.{field}"
    document = f"$fullDocument.{field}"
    is_document = {"$eq": [{"$type": "$$e.v"}, "object"]}
    new = {
        "k": "$$e.k",
        **_picked(profile, "$$e.v"),
        "v": {"$cond": [is_document, "$$REMOVE", "$$e.v"]},
    }
    return {
        "n": f"{_UPDATED}.{profile.state_field}",
        "t": {"$map": {"input": _new_elements(profile, field, is_document), "as": "e", "in": new}},
        "a": {
            "$switch": {
                "branches": [
                    {"case": {"$isArray": rewritten}, "then": _mapped(profile, rewritten, "$$e")},
                    {"case": {"$isArray": document}, "then": _mapped(profile, document, "$$e")},
                ],
                "default": "$$REMOVE",
            }
        },
    }


def _new_elements(profile: Profile, field: str, is_document: Stage) -> Stage:
    """What was set below the history: documents, and the identity or state of an element rewritten in place.

    A flag such as ``notif_sent`` inside an element is neither.
    """
    prefix = f"{field}."
    names = "|".join(
        (profile.transition_state, profile.transition_time, profile.transition_trans_id)
    )
    in_place = {"$regexMatch": {"input": "$$e.k", "regex": rf"^{field}\.\d+\.({names})$"}}
    below = {"$eq": [{"$indexOfBytes": ["$$e.k", prefix]}, 0]}
    return {
        "$filter": {
            "input": {"$objectToArray": {"$ifNull": [_UPDATED, {}]}},
            "as": "e",
            "cond": {"$and": [below, {"$or": [is_document, in_place]}]},
        }
    }


def _mapped(profile: Profile, array: Any, element: str) -> Stage:
    return {"$map": {"input": array, "as": "e", "in": _picked(profile, element)}}


def _picked(profile: Profile, element: str) -> Stage:
    return {
        "s": f"{element}.{profile.transition_state}",
        "d": f"{element}.{profile.transition_time}",
        "i": f"{element}.{profile.transition_trans_id}",
    }


def _latest(profile: Profile) -> Stage:
    found: Stage = {
        "s": {
            "$ifNull": [
                f"{_UPDATED}.{profile.state_field}",
                f"$fullDocument.{profile.state_field}",
                "$$REMOVE",
            ]
        }
    }
    if profile.updated_field:
        found["u"] = {
            "$ifNull": [
                f"{_UPDATED}.{profile.updated_field}",
                f"$fullDocument.{profile.updated_field}",
                "$$REMOVE",
            ]
        }
    return found


def fingerprint(profile: Profile) -> str:
    """Identify the stages: a token made under other stages may be refused by the server (280)."""
    return hashlib.sha256(
        json_util.dumps(shaping_stages(profile), sort_keys=True).encode()
    ).hexdigest()[:16]
