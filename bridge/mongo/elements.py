"""Makes transitions of the elements of a history; all knowledge of unusual elements is here.

Optimised, because it runs once per message; tests/unit/test_hot_path.py counts its calls.
"""

from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from bridge.model.transition import BEFORE_FIRST, Poison, Transition, made_trans_id
from bridge.mongo.event_fields import STATE, TIME, TRANS_ID
from bridge.mongo.job_ids import MissingJobId
from bridge.mongo.raw_text import escaped, is_utf8, text_of_id

#: An element as events contain it: its state, time and identity by the names of event_fields.py.
Element = dict[str, Any]

#: PyMongo's dates are UTC and naive.
EPOCH = datetime(1970, 1, 1)
#: The end of the text of a time, by its milliseconds.
_FRACTIONS = ("+00:00", *(f".{millis:03}000+00:00" for millis in range(1, 1000)))

#: Makes a named tuple in half the time of its class.
_new = tuple.__new__


def make_transition(
    job_id: Any, previous: int, element: Element, document_id: Any
) -> Transition | Poison:
    """Make a transition of an element, or a :class:`Poison` with the reason.

    Args:
        previous: the sequence of the preceding element, see
            :func:`bridge.model.transition.next_sequence`, which is inlined here.
        document_id: the ``_id`` of the document, for the reason.
    """
    state, time, trans_id = element.get(STATE), element.get(TIME), element.get(TRANS_ID)
    sequence = previous + 1
    if not isinstance(time, datetime):
        return _poison(job_id, element, sequence, document_id)
    # Half the time of isoformat(): times in the same second share most of their text.
    since = time - EPOCH
    text, thousands = _second(since.days, since.seconds)
    millis = since.microseconds // 1000
    if (at_its_time := thousands + millis * 1000) > sequence:
        sequence = at_its_time
    if not (job_id and isinstance(job_id, str) and isinstance(state, str)):
        return _poison(job_id, element, sequence, document_id)
    if not (isinstance(trans_id, str) and trans_id):
        trans_id = made_trans_id(job_id, text + _FRACTIONS[millis], state, sequence)
    # Nearly every text is ASCII, which is known without reading it.
    ascii_only = job_id.isascii() and state.isascii() and trans_id.isascii()
    if not (ascii_only or is_utf8(job_id, state, trans_id)):
        return _poison(job_id, element, sequence, document_id)
    return _new(Transition, (job_id, state, text + _FRACTIONS[millis], trans_id, sequence))


def transitions_of(
    job_id: Any, elements: Iterable[Element], document_id: Any
) -> list[Transition | Poison]:
    """Return the transitions of a whole history, with their sequence."""
    items: list[Transition | Poison] = []
    sequence: int = BEFORE_FIRST
    for element in elements:
        item = make_transition(job_id, sequence, element, document_id)
        sequence = item.sequence or 0
        items.append(item)
    return items


def make_latest(
    job_id: Any, element: Element, document_id: Any, nth: int = 0
) -> Transition | Poison:
    """Make the transition to a job's latest state, for a profile without history.

    Args:
        nth: how often the job was in this state before, at the same time.
    """
    state, time = element.get(STATE), element.get(TIME)
    if not (
        job_id
        and isinstance(job_id, str)
        and isinstance(state, str)
        and isinstance(time, datetime)
        and is_utf8(job_id, state)
    ):
        return _poison(job_id, element, None, document_id)
    text = time_text(time)
    trans_id = made_trans_id(job_id, text, state, nth or None)
    return Transition(job_id, state, text, trans_id)


def make_poison(
    reason: str, job_id: Any, element: Element, document_id: Any, sequence: int | None = None
) -> Poison:
    """Make a :class:`Poison` of the known fields of an element."""
    return Poison(
        f"{reason}; document _id {text_of_id(document_id)}",
        _text(job_id),
        _text(element.get(STATE)),
        _text(element.get(TIME)),
        _text(element.get(TRANS_ID)),
        sequence,
    )


def key_of(element: Element) -> Hashable:
    """Return the fields that make two elements the same transition."""
    return (
        _hashable(element.get(TRANS_ID)),
        _hashable(element.get(STATE)),
        _hashable(element.get(TIME)),
    )


def unidentified(key: Any) -> Hashable:
    """Return the key of the same transition before the service gave it an identity."""
    return (None, key[1], key[2])


def time_text(time: datetime) -> str:
    """Return the text of a time as messages contain it."""
    since = time - EPOCH
    return _second(since.days, since.seconds)[0] + _FRACTIONS[since.microseconds // 1000]


def parse_time(value: Any) -> datetime | None:
    """Convert a date or Unix seconds to a naive UTC date; None for other values."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            whole = datetime.fromtimestamp(value, timezone.utc).replace(tzinfo=None)
        except (OverflowError, OSError, ValueError):
            return None
        return whole.replace(microsecond=whole.microsecond // 1000 * 1000)
    return None


def _hashable(value: Any) -> Hashable:
    if value is None or isinstance(value, (str, datetime)):
        return value
    return (type(value).__name__, repr(value))


def _poison(job_id: Any, element: Element, sequence: int | None, document_id: Any) -> Poison:
    reason = _reason(job_id, element)
    return make_poison(reason, job_id, element, document_id, sequence)


def _reason(job_id: Any, element: Element) -> str:
    if isinstance(job_id, MissingJobId):
        return job_id.reason
    for name, value, kind, expected in (
        ("job id", job_id, str, "text"),
        ("state", element.get(STATE), str, "text"),
        ("time", element.get(TIME), datetime, "a date"),
    ):
        if value is None:
            return f"the {name} is missing"
        if not isinstance(value, kind):
            return f"the {name} is {type(value).__name__}, not {expected}"
        if not is_utf8(value):
            return f"the {name} is not UTF-8"
    if not job_id:
        return "the job id is empty"
    if not is_utf8(element.get(TRANS_ID)):
        return "the trans_id is not UTF-8"
    raise AssertionError("called for a good transition")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.isoformat()}+00:00"
    return "" if value is None else escaped(str(value))


@lru_cache(256)
def _second(days: int, seconds: int) -> tuple[str, int]:
    """Return the text of a second, and its number of thousandths of a millisecond since 1970."""
    whole = EPOCH + timedelta(days, seconds)
    return whole.isoformat(), (days * 86_400 + seconds) * 1_000_000
