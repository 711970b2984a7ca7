"""The parts of the pages that every reader may see: no hosts, owners, job ids and tokens."""

import re
from collections.abc import Mapping
from typing import Any

#: The cause of a failure follows one of these, with hosts and the texts of clients.
_CAUSE = re.compile(r": | \(| at (?=\S+:\d)")
#: The process of an owner, a host with a port, or an address.
_ADDRESS = re.compile(
    r"(?<=process )\d+ on \S+|"
    r"\[[0-9a-fA-F:.]+\](:\d+)?|"
    # The hour and minute of a time look like a host with a port.
    r"(?<![\w.-])(?!\d{4}-\d\d-\d\dT\d\d:)[\w.-]*[A-Za-z][\w.-]*:\d{1,5}\b|"
    r"(\d+\.){3}\d+(:\d+)?"
)
#: A job's id may contain any character, so the rest of the text is left out.
_JOB = re.compile(r"(^Job |\b(?:of|with) job ).+")
_CHECKPOINT = ("format", "sequence", "saved_at", "bridge_version")
_HIDDEN = "..."
_NOTE = "note: "


def public_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``/status.json`` without details.

    Left out: the causes of failures, the owner and the standbys, all of the checkpoint that
    identifies a position, a cluster or a job. ``details`` is false in it.
    """
    checkpoint, ownership = document["checkpoint"], document["ownership"]
    recovery = document["recovery"]
    return {
        **document,
        "details": False,
        "reasons": [public_text(text) for text in document["reasons"]],
        "notes": [public_text(text) for text in document["notes"]],
        "warnings": [_public_warning(warning) for warning in document["warnings"]],
        "position": _without_token(document["position"]),
        "checkpoint": {name: checkpoint[name] for name in _CHECKPOINT} if checkpoint else None,
        "ownership": {**ownership, "owner": None, "standbys": None} if ownership else None,
        "recovery": {**recovery, "until": _without_token(recovery["until"])} if recovery else None,
    }


def public_readiness(text: str) -> str:
    """Return the text of ``/readyz`` without details."""
    return "".join(
        f"{_NOTE * line.startswith(_NOTE)}{public_text(line.removeprefix(_NOTE))}\n"
        for line in text.splitlines()
    )


def public_text(text: str) -> str:
    """Return a reason or a note without its cause, and without hosts and jobs."""
    text = _CAUSE.split(text, maxsplit=1)[0]
    return _ADDRESS.sub(_HIDDEN, _JOB.sub(rf"\1{_HIDDEN}", text))


def _public_warning(warning: Mapping[str, Any]) -> dict[str, Any]:
    """Return a warning of the log without its cause, hosts and jobs; the action stays."""
    text, todo = public_text(warning["text"]), _ADDRESS.sub(_HIDDEN, warning["todo"])
    return {**warning, "text": text, "details": "", "todo": todo}


def _without_token(position: str | None) -> str | None:
    """Return the time of a position, which its token follows in brackets."""
    return position.partition(" (")[0] if position else None
