"""A dead letter, and the transition that it is about."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from bridge.model.job_history import JobHistory
from bridge.model.message import KEPT_CHARACTERS, TOO_LARGE
from bridge.model.transition import (
    BEFORE_FIRST,
    SEQUENCE_DIGITS,
    Poison,
    Transition,
    has_made_trans_id,
    made_trans_id,
    next_sequence,
)

#: The text of a ce_sequence; ``int()`` fails on thousands of digits.
_NUMBER = re.compile(rf"[0-9]{{1,{SEQUENCE_DIGITS}}}")
#: A smaller ce_sequence is an array index, which older versions sent: the service may use an index
#: again, so it identifies no transition.
_FIRST_SEQUENCE = 10**9

Items = Sequence[Transition | Poison]


class DeadLetter(NamedTuple):
    """A dead letter.

    Attributes:
        location: ``partition:offset`` in the dead-letter topic.
        written: When it was written, in ISO 8601.
        fields: The fields of its value.
        headers: Its headers, as text.
    """

    location: str
    written: str
    fields: dict[str, Any]
    headers: dict[str, str]

    def text(self, name: str) -> str:
        return str(self.fields.get(name) or "")

    @property
    def reason(self) -> str:
        return self.text("error_dlq")

    @property
    def number(self) -> str:
        """Its ce_sequence; an array index if an older version wrote it."""
        return self.headers.get("ce_sequence", "")

    @property
    def sequence(self) -> int | None:
        """Its sequence; None if it has none, or an array index."""
        number = int(self.number) if _NUMBER.fullmatch(self.number) else 0
        return number if number >= _FIRST_SEQUENCE else None

    @property
    def identity(self) -> tuple[str, ...]:
        """Equal for all dead letters of a transition that the same version wrote.

        Without a job id the reason is used, because it names the document.
        """
        job_id, trans_id, state = (self.text(name) for name in ("job_id", "trans_id", "state"))
        return (
            job_id,
            trans_id or f"{self.number} {self.text('time')}",
            state,
            "" if job_id else self.reason,
        )

    @property
    def has_made_trans_id(self) -> bool:
        """Whether the bridge made the identity; older versions made it of an array index."""
        job_id, time, state = (self.text(name) for name in ("job_id", "time", "state"))
        return self.text("trans_id") in (
            made_trans_id(job_id, time, state, self.sequence),
            made_trans_id(job_id, self.number, state),
        )


def transition_of(letter: DeadLetter, jobs: Iterable[JobHistory]) -> Transition | None:
    """Return the transition of a dead letter; None if it still cannot be sent.

    It is read from the job, also its sequence; if no job contains it, from the dead letter.
    """
    for job in jobs:
        if (transition := _in_history(letter, job.items)) is not None:
            return transition
    return _of_fields(letter)


def _in_history(letter: DeadLetter, items: Items) -> Transition | None:
    transitions = [item for item in items if isinstance(item, Transition)]
    if not (trans_id := letter.text("trans_id")):
        return _without_identity(letter, items)
    state, time = letter.text("state"), letter.text("time")
    if same := [item for item in transitions if item.trans_id == trans_id]:
        return min(same, key=lambda item: item.state != state)
    # An identity that was made of an array index, or before the service made its own.
    same = [
        item
        for item in transitions
        if (item.state, item.time) == (state, time)
        and (has_made_trans_id(item) or letter.has_made_trans_id)
    ]
    return same[0] if len(same) == 1 else None


def _without_identity(letter: DeadLetter, items: Items) -> Transition | None:
    """Return the only transition with the good fields of the letter.

    Of several, that at the sequence of the letter. Without a history, this is the job's latest
    state, if it is the state of the dead letter.
    """
    names = [name for name in ("state", "time") if not letter.reason.startswith(f"the {name} is ")]
    same = [
        place
        for place, item in enumerate(items)
        if all(
            getattr(item, name) == letter.text(name)
            for name in (names if item.sequence is not None else ["state"])
        )
    ]
    if len(same) > 1:
        same = [place for place in same if letter.sequence in _sequences(items, place)]
    if len(same) != 1:
        return None
    item = items[same[0]]
    return item if isinstance(item, Transition) else None


def _sequences(items: Items, place: int) -> tuple[int | None, int]:
    """Return the sequence of a transition, and the one it had before its time was corrected."""
    previous = items[place - 1].sequence if place else None
    return items[place].sequence, (BEFORE_FIRST if previous is None else previous) + 1


def _of_fields(letter: DeadLetter) -> Transition | None:
    """Rebuild the transition from the dead letter; None if a field is missing or was truncated."""
    fields = [letter.text(name) for name in ("job_id", "state", "time", "trans_id")]
    if not letter.reason.startswith(TOO_LARGE):
        return None  # Fields of another type were made text, so the message would be wrong.
    if not all(0 < len(text) < KEPT_CHARACTERS for text in fields):
        return None
    job_id, state, text, trans_id = fields
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None:
        return None
    sequence = letter.sequence
    if sequence is None and letter.number:
        # Consumers that compare sequences would ignore a message with an array index.
        sequence = next_sequence(BEFORE_FIRST, _milliseconds(time))
    return Transition(job_id, state, text, trans_id, sequence)


def _milliseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
