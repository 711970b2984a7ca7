"""Random writes by every operator of MongoDB that can change an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.array_writes import (
    ARCHIVE,
    CURRENT,
    STATES,
    Document,
    Pen,
    Target,
    Write,
    recover_job,
    set_stage,
)
from tests.support.job_writer import MIDNIGHT

Draw = Callable[[Target], Write | None]


def _push(t: Target) -> Write:
    element = t.pen.element()
    update: Document = {"$push": {t.name: element}}
    if t.random.random() < 0.7:
        update["$set"] = {"state": element["state"]}
    return Write("$push", update)


def _push_each(t: Target) -> Write:
    return Write("$push $each", {"$push": {t.name: {"$each": t.pen.elements()}}})


def _push_modified(t: Target) -> Write:
    """``$each`` with any of ``$slice``, ``$sort`` and ``$position``."""
    push: Document = {"$each": t.pen.elements() if t.random.random() < 0.8 else []}
    if t.random.random() < 0.6:
        push["$slice"] = t.random.choice((-4, -3, -2, -1, 0, 1, 3, 4))
    if t.random.random() < 0.4:
        by = t.random.choice(("time", "state", "trans_id"))
        push["$sort"] = {by: t.random.choice((1, -1))}
    if t.random.random() < 0.4:
        push["$position"] = t.random.choice((0, 1, -1))
    return Write("$push " + " ".join(push), {"$push": {t.name: push}})


def _add_to_set(t: Target) -> Write:
    old = [e for e in t.array if isinstance(e, dict)][:1]
    return Write("$addToSet", {"$addToSet": {t.name: {"$each": [*old, t.pen.element()]}}})


def _pull(t: Target) -> Write | None:
    if not t.array:
        return None
    if t.random.random() < 0.3:
        return Write("$pullAll", {"$pullAll": {t.name: [t.array[t.index()]]}})
    trans_id = t.known_id()
    by = {"trans_id": trans_id} if trans_id else {"state": t.random.choice(STATES)}
    return Write("$pull", {"$pull": {t.name: by}})


def _pop(t: Target) -> Write:
    return Write("$pop", {"$pop": {t.name: t.random.choice((1, -1))}})


def _set_element(t: Target) -> Write | None:
    """By index: in place, right after the end, or further on, which leaves nulls."""
    if not t.array:
        return None
    index = t.random.choice((t.index(), t.index(), len(t.array), len(t.array) + 2))
    query = {f"{t.name}.0": {"$exists": True}}
    return Write("$set element", {"$set": {f"{t.name}.{index}": t.pen.element()}}, query)


def _set_fields(t: Target) -> Write | None:
    if not t.array:
        return None
    path = f"{t.name}.{t.index()}"
    changes: Document = {f"{path}.{name}": value for name, value in t.fields().items()}
    if t.random.random() < 0.3:
        changes["state"] = t.random.choice(STATES)
    return Write("$set fields", {"$set": changes}, {path: {"$exists": True}})


def _set_two_elements(t: Target) -> Write | None:
    if len(t.array) < 2:
        return None
    changes = {f"{t.name}.{n}.{k}": v for n in (0, 1) for k, v in t.fields().items()}
    return Write("$set two", {"$set": changes}, {f"{t.name}.1": {"$exists": True}})


def _adjust(t: Target) -> Write | None:
    """Other operators that change a field of an element."""
    if not t.array:
        return None
    path = f"{t.name}.{t.index()}"
    update = t.random.choice(
        (
            {"$max": {f"{path}.time": t.pen.value("time")}},
            {"$min": {f"{path}.time": MIDNIGHT}},
            {"$inc": {f"{path}._retry": 1}},
            {"$currentDate": {f"{path}.time": True}},
            {"$rename": {"admin_meta": "admin_meta_old"}},
        )
    )
    return Write(str(next(iter(update))), update, {path: {"$exists": True}})


def _set_positional(t: Target) -> Write | None:
    trans_id = t.known_id()
    if trans_id is None:
        return None
    changes = {f"{t.name}.$.{name}": value for name, value in t.fields().items()}
    return Write("$set by $", {"$set": changes}, {f"{t.name}.trans_id": trans_id})


def _set_all(t: Target) -> Write:
    changes = {f"{t.name}.$[].{name}": value for name, value in t.fields().items()}
    changes.pop(f"{t.name}.$[].trans_id", None)
    changes = changes or {f"{t.name}.$[].notif_sent": True}
    return Write("$set by $[]", {"$set": changes}, {f"{t.name}.0": {"$exists": True}})


def _set_filtered(t: Target) -> Write:
    """By arrayFilters: elements of a state, with or without an identity."""
    changes = {f"{t.name}.$[e].{name}": value for name, value in t.fields().items()}
    trans_id = t.known_id()
    by = {"e.trans_id": trans_id} if trans_id else {"e.trans_id": {"$exists": False}}
    if t.random.random() < 0.3:
        by = {"e.state": t.random.choice(STATES)}
        changes = {f"{t.name}.$[e].notif_sent": True, f"{t.name}.$[e].state": "error"}
    query = {f"{t.name}.0": {"$exists": True}}
    return Write("$set by arrayFilters", {"$set": changes}, query, [by])


def _set_array(t: Target) -> Write:
    """The whole array: all new, extended, shortened, reordered, or the same."""
    old = list(t.array)
    shuffled = t.random.sample(old, len(old))
    new = t.random.choice(
        (t.pen.elements(), [*old, *t.pen.elements()], old[1:], old[:-1], shuffled, old, [])
    )
    return Write("$set array", {"$set": {t.name: new}})


def _unset(t: Target) -> Write:
    paths = [t.name] if t.random.random() < 0.3 else []
    if t.array:
        path = f"{t.name}.{t.index()}"
        name = t.random.choice(("state", "time", "trans_id", "trans_id", "notif_sent"))
        paths += [path, f"{path}.{name}", f"{path}.{name}"]
    return Write("$unset", {"$unset": {t.random.choice(paths or ["admin_meta"]): ""}})


def _rename(t: Target) -> Write:
    new = ARCHIVE if t.name == CURRENT else CURRENT
    return Write("$rename", {"$rename": {t.name: new}})


def _concat(t: Target) -> Write:
    """As the newest service appends, with a condition that sometimes fails."""
    longer = {"$concatArrays": [t.expression, t.pen.elements(2)]}
    condition = {"$eq": ["$state", t.random.choice((t.job.get("state"), "never"))]}
    value = {"$cond": [condition, longer, f"${t.name}"]}
    return Write("$concatArrays", set_stage(t.name, value))


def _capped(t: Target) -> Write:
    longer = {"$concatArrays": [t.expression, t.pen.elements(2)]}
    kept = t.random.choice((-4, -3, -2, 2))
    return Write("$concatArrays $slice", set_stage(t.name, {"$slice": [longer, kept]}))


def _reshaped(t: Target) -> Write:
    """A part of the array, or another order of it."""
    array = t.expression
    sorted_by_time = {"$sortArray": {"input": array, "sortBy": {"time": -1}}}
    kept = {"$ne": ["$$e.state", t.random.choice(STATES)]}
    name, expression = t.random.choice(
        (
            ("$slice", {"$slice": [array, t.random.choice((-3, -2, -1, 1, 2))]}),
            ("$filter", {"$filter": {"input": array, "as": "e", "cond": kept}}),
            ("$sortArray", sorted_by_time),
            ("$reverseArray", {"$reverseArray": array}),
            ("$concatArrays twice", {"$concatArrays": [array, {"$slice": [array, 1]}]}),
        )
    )
    return Write(name, set_stage(t.name, expression))


def _map(t: Target) -> Write | None:
    """A flag for all elements, or new fields of a single element."""
    if not t.array:
        return None
    merged: Any = {"$mergeObjects": ["$$e", {"notif_sent": True, "seen": t.random.random()}]}
    if t.random.random() < 0.6 and (trans_id := t.known_id()):
        changed = {"$mergeObjects": ["$$e", t.fields()]}
        merged = {"$cond": [{"$eq": ["$$e.trans_id", trans_id]}, changed, "$$e"]}
    is_document = {"$eq": [{"$type": "$$e"}, "object"]}
    mapped = {"$cond": [is_document, merged, "$$e"]}
    return Write(
        "$map", set_stage(t.name, {"$map": {"input": t.expression, "as": "e", "in": mapped}})
    )


def _identify_all(t: Target) -> Write | None:
    """A migration: an identity for each element that has none, made of its time."""
    if not any(isinstance(e, dict) and "trans_id" not in e for e in t.array):
        return None
    made = {"$concat": [t.pen.job_id, "/", {"$toString": {"$ifNull": ["$$e.time", "no time"]}}]}
    lacks = {
        "$and": [
            {"$eq": [{"$type": "$$e"}, "object"]},
            {"$eq": [{"$type": "$$e.trans_id"}, "missing"]},
        ]
    }
    with_id = {"$mergeObjects": ["$$e", {"trans_id": made}]}
    mapped = {"$cond": [lacks, with_id, "$$e"]}
    return Write(
        "$map ids", set_stage(t.name, {"$map": {"input": t.expression, "as": "e", "in": mapped}})
    )


def _merge(t: Target) -> Write:
    """``$merge`` with a document, a replacement or a pipeline."""
    longer = {"$concatArrays": [t.expression, t.pen.elements(2)]}
    stages = set_stage(t.name, t.random.choice((longer, {"$slice": [longer, -3]})))
    when_matched = t.random.choice(("merge", "replace", [{"$replaceWith": "$$new"}]))
    return Write("$merge", merge=(stages, when_matched))


def _replace(t: Target) -> Write:
    """``replaceOne``, also as an upsert that finds the job."""
    old = list(t.job.get(CURRENT) or []) if isinstance(t.job.get(CURRENT), list) else []
    new = t.random.choice(([*old, t.pen.element()], old, old[1:], [*old[2:], t.pen.element()]))
    whole = t.pen.document(new)
    if ARCHIVE in t.job and t.random.random() < 0.8:
        whole[ARCHIVE] = t.job[ARCHIVE]
    return Write(t.random.choice(("replaceOne", "upsert")), whole=whole)


def _recover(t: Target) -> Write:
    element = t.pen.element(identified=True) | {"state": "download_submitted"}
    return Write("recover_job", recover_job(element))


def _noise(t: Target) -> Write:
    update = t.random.choice(
        ({"$set": {"state": "error"}}, {"$set": {"admin_meta.transition_times.0.state": "x"}})
    )
    return Write("noise", update)


DRAWS: tuple[Draw, ...] = (
    *(_push, _push, _push, _push_each, _push_modified, _push_modified, _add_to_set),
    *(_pull, _pop, _set_element, _set_fields, _set_fields, _set_two_elements, _adjust),
    *(_set_positional, _set_all, _set_filtered, _set_filtered, _set_array, _unset, _unset),
    *(_rename, _concat, _concat, _capped, _capped, _reshaped, _reshaped, _map, _identify_all),
    *(_merge, _replace, _recover, _recover, _noise),
)


def draw_write(pen: Pen, job: Document, *, in_transaction: bool = False) -> Write:
    """Draw a write to the job as it is now; ``$merge`` cannot be in a transaction."""
    name = ARCHIVE if pen.random.random() < 0.12 else CURRENT
    array = job.get(name)
    target = Target(pen, job, name, array if isinstance(array, list) else [])
    while True:
        draw = pen.random.choice(DRAWS)
        write = None if in_transaction and draw is _merge else draw(target)
        if write is not None:
            return write
