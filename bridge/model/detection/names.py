"""Compares field names with the names that services usually give to the fields of a job."""

import re
from collections.abc import Set

#: Names of each kind of field, in the form that :func:`words` gives, joined by ``_``.
STATE = frozenset({"state", "status", "phase", "stage"})
ID = frozenset({"id", "job", "job_id", "jobid", "task_id", "taskid", "uuid", "guid"})
HISTORY = frozenset(
    {"history", "transitions", "transition_times", "states", "statuses", "events", "timeline"}
    | {"log", "changes", "conditions", "journal"}
)
UPDATED = frozenset(
    {"updated", "updated_at", "update", "update_time", "last_update", "last_updated"}
    | {"modified", "modified_at", "last_modified", "mtime"}
)
#: Names inside a transition.
ELEMENT_STATE = STATE | {"to", "to_state", "new", "new_state", "name", "event", "type"}
ELEMENT_TIME = frozenset({"time", "at", "ts", "timestamp", "date", "datetime", "when"})
ELEMENT_ID = frozenset({"trans_id", "transition_id", "id", "event_id", "uuid", "guid"})

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
#: As ``bridge.settings.values.FieldName`` accepts it.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def words(name: str) -> list[str]:
    """Return the words of a name in lower case: ``lastUpdate_time`` has three."""
    return [word.lower() for word in _WORD.findall(name)]


def likeness(name: str, usual: Set[str]) -> int:
    """Return how much a name resembles the usual ones.

    3 if it is such a name, 2 if its last word is, 1 if another of its words is, else 0.
    """
    parts = words(name)
    if not parts:
        return 0
    if "_".join(parts) in usual:
        return 3
    if parts[-1] in usual:
        return 2
    return int(any(part in usual for part in parts))


def is_plain(name: str) -> bool:
    """Whether settings accept the name: letters, digits and ``_``, at the top level."""
    return _PLAIN.fullmatch(name) is not None
