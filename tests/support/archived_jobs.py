"""Jobs of both generations of writes, with tags in the archive and in the current array."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

Document = dict[str, Any]

NOW = datetime.now(timezone.utc).replace(microsecond=511_000)
#: Two minutes ago, in Unix seconds.
BEFORE = NOW.timestamp() - 120
#: Moves the history to the archive, as the service does when it recovers a job.
RECOVER: list[Document] = [
    {
        "$set": {
            "state": "download_submitted",
            "_update_time": NOW,
            "trans_history": {
                "$concatArrays": [{"$ifNull": ["$trans_history", []]}, "$transition_times"]
            },
            "transition_times": [
                {
                    "state": "download_submitted",
                    "time": NOW,
                    "trans_id": "again",
                    "notif_sent": False,
                }
            ],
        }
    }
]


def element(
    state: str, ago: float, trans_id: str | None = "", *, sent: bool = False, **more: Any
) -> Document:
    """An element; without ``trans_id`` its identity contains state and time."""
    identity = {} if trans_id is None else {"trans_id": trans_id or f"{state} {ago:.0f}"}
    time = NOW - timedelta(seconds=ago)
    return {"state": state, "time": time, "notif_sent": sent, **identity, **more}


def job(job_id: str, archive: list[Document] | None, *current: Document) -> Document:
    archived = {} if archive is None else {"trans_history": archive}
    newest = [*(archive or []), *current][-1]
    return {
        "id": job_id,
        "state": newest["state"],
        "_update_time": newest["time"],
        "transition_times": [*current],
        **archived,
    }


def unsent(document: Document | None) -> list[str]:
    """The transitions with a tag, from both arrays."""
    assert document is not None
    arrays = [document.get("trans_history", []), document["transition_times"]]
    return [
        element.get("trans_id", element["state"])
        for array in arrays
        for element in array
        if element["notif_sent"] is False
    ]
