"""The history of one job."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bridge.model.transition import Poison, Transition


class JobHistory(NamedTuple):
    """The transitions that a job's document contains.

    Attributes:
        job_id: empty if the document has no job id that can be sent.
        items: in the order in which they happened; only the latest state if the profile has no
            history.
        elements: the same as the document contains them; empty if the profile has no history.
        updated: the time of the last update in Unix seconds; None if it is missing.
        recovery_cursor: sorts jobs by the time of their last update; empty if that is missing.
        document: the start of the text of the document's ``_id``; empty if it is not known.
        created: the time in the document's ``_id``, in Unix seconds; None if it contains none.
    """

    job_id: str
    items: Sequence[Transition | Poison]
    elements: Sequence[Any] = ()
    updated: float | None = None
    recovery_cursor: str = ""
    document: str = ""
    created: float | None = None
