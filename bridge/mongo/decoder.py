"""Shaped change events to :class:`Event`: all knowledge of field names and of odd documents."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion

from bridge.model.position import Position
from bridge.model.profile import Profile
from bridge.model.transition import STREAM, Event, Poison, Transition, made_trans_id
from bridge.mongo.job_id_cache import UNKNOWN, JobIdCache

logger = logging.getLogger(__name__)

#: Nothing a document holds may stop the stream: bad UTF-8 is replaced, a date out of range stays a number.
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)

#: Operations on the collection itself, and what each means; after them the server ends the stream.
_COLLECTION = {
    "drop": "the collection was dropped; the bridge goes on with the next one of this name. What is in one that is renamed onto it "
    "is not told: 'job-bridge verify --repair' sends that",
    "rename": "the collection was renamed; the bridge goes on with the next one of the old name, "
    "set mongo.collection to follow the new one",
    "dropDatabase": "the database was dropped; the bridge goes on with the next one of this name",
    "invalidate": "the change stream ended with its collection; opening a new one",
}

#: Operations that tell the whole document.
_WHOLE = ("insert", "replace")
#: The driver's dates are UTC and naive.
_EPOCH = datetime(1970, 1, 1)
#: How the text of a time ends, by its milliseconds.
_FRACTIONS = ("+00:00", *(f".{millis:03}000+00:00" for millis in range(1, 1000)))

#: Makes a named tuple in half the time its own class takes, for what is made a million times.
_new = tuple.__new__

Raw = dict[str, Any]
Items = tuple[Transition | Poison, ...]


def position_in(token: Raw) -> Position:
    """The position right after the event with this resume token, opaque and whole."""
    bits = token.get("_typeBits")
    return Position(token["_data"], bytes(bits).hex() if bits else "")


class Decoder:
    """Decodes the events of one collection, looking up the job ids of a batch at once."""

    def __init__(self, profile: Profile, ids: JobIdCache) -> None:
        self._profile = profile
        self._ids = ids
        self._id_is_key = profile.id_field == "_id"
        self._time: Any = None
        self._committed: float | None = None
        #: Where the index begins in the path of an element of the history.
        self._index = len(f"{profile.transitions_field}.")
        self._fields = {
            profile.transition_state: "s",
            profile.transition_time: "d",
            profile.transition_trans_id: "i",
        }

    def decode(self, raws: Sequence[Raw]) -> list[Event]:
        """Decode a batch, in order. Raises PyMongo's errors when a lookup fails."""
        return list(map(self._event, raws, self._job_ids(raws)))

    def _job_ids(self, raws: Sequence[Raw]) -> Sequence[Any]:
        """The job id of each event, or why there is none; what is not remembered is looked up at once."""
        if self._id_is_key:
            return [str(raw.get("k")) for raw in raws]
        ids = [self._known(raw) for raw in raws]
        missing = [raw["k"] for raw, known in zip(raws, ids, strict=True) if known is UNKNOWN]
        if missing:
            found = iter(self._ids.find(missing, _GONE))
            ids = [next(found) if known is UNKNOWN else known for known in ids]
        return ids

    def _known(self, raw: Raw) -> Any:
        key = raw.get("k")  # a drop has none
        if raw["o"] == "update" and "j" not in raw:
            return self._ids.known(key)
        if "j" in raw or raw["o"] in _WHOLE:
            self._ids.remember(key, raw.get("j"))
        return raw.get("j")

    def _event(self, raw: Raw, job_id: Any) -> Event:
        token, operation = raw["_id"], raw["o"]
        position = (
            _new(Position, (token["_data"], "", "")) if len(token) == 1 else position_in(token)
        )
        if (
            time := raw.get("w")
        ) != self._time:  # events that were committed together come one after the other
            self._time = time
            self._committed = (
                (time - _EPOCH).total_seconds() if isinstance(time, datetime) else None
            )
        committed = self._committed
        if operation != "update" and operation not in _WHOLE:
            return Event(position, (), committed, _skipped(operation, raw))
        items = self._items(raw, job_id, position)
        return _new(Event, (position, items, committed, "" if items else "no_transition", STREAM))

    def _items(self, raw: Raw, job_id: Any, position: Position) -> Items:
        if self._profile.transitions_field is None:
            return self._latest(raw, job_id, position)
        if "a" in raw:
            if raw["o"] != "insert" and raw["a"]:
                logger.warning(
                    "the history of a job was written anew: all %d transitions are sent again, "
                    "consumers know them by trans_id",
                    len(raw["a"]),
                    extra={"job_id": str(job_id)[:100]},
                )
            return tuple([transition_of(job_id, n, one, raw) for n, one in enumerate(raw["a"])])
        new = raw["t"]
        if len(new) == 1 and (index := new[0]["k"][self._index :]).isdecimal():
            return (transition_of(job_id, int(index), new[0], raw),)  # nearly every event
        return tuple(transition_of(job_id, n, one, raw) for n, one in self._elements(raw))

    def _elements(self, raw: Raw) -> list[tuple[int, Raw]]:
        """New elements of the history by index; what is set deeper inside one is no transition."""
        found: dict[int, dict[str, Any]] = {}
        for one in raw["t"]:
            index, _, name = one["k"][self._index :].partition(".")
            if not index.isdecimal():
                continue
            if not name:
                found[int(index)] = one
            elif "v" in one:
                found.setdefault(int(index), {})[self._fields.get(name, "")] = one["v"]
        return [
            (n, _completed(found[n], raw))
            for n in sorted(found)
            if found[n].keys() & {"s", "i"} or "k" in found[n]
        ]

    def _latest(self, raw: Raw, job_id: Any, position: Position) -> Items:
        if "s" not in raw:
            return ()
        time = moment_in(raw.get("u")) or moment_in(raw.get("w"))
        time = time or moment_in(position.cluster_time.seconds)
        fields = {"s": raw["s"], "d": time}
        return (transition_of(job_id, None, fields, raw),)


@dataclass(frozen=True, slots=True)
class _NoId:
    """Stands for a job id that cannot be had, and says why."""

    reason: str

    def __str__(self) -> str:
        return ""


_GONE = _NoId("the job was deleted before its id could be looked up")


def _completed(element: Raw, raw: Raw) -> Raw:
    """An element rewritten in place (a job begun anew) tells only what changed: the job's state and the commit's time stand in."""
    if "k" in element:
        return element
    return {"s": raw.get("n"), "d": raw.get("w"), **element}


def transition_of(job_id: Any, sequence: int | None, fields: Any, raw: Raw) -> Transition | Poison:
    """Make a transition of its three fields, or say why it is none."""
    fields = fields if isinstance(fields, dict) else {}
    state, time, trans_id = fields.get("s"), fields.get("d"), fields.get("i")
    if isinstance(job_id, str) and isinstance(state, str) and isinstance(time, datetime):
        since = (
            time - _EPOCH
        )  # isoformat in half its time: those of one second share most of the text
        text = _second(since.days, since.seconds) + _FRACTIONS[since.microseconds // 1000]
        if not (isinstance(trans_id, str) and trans_id):
            trans_id = made_trans_id(job_id, text if sequence is None else sequence, state)
        return _new(Transition, (job_id, state, text, trans_id, sequence))
    reason = _reason(job_id, state, time, raw)
    return Poison(reason, _text(job_id), _text(state), _text(time), _text(trans_id), sequence)


def _reason(job_id: Any, state: Any, time: Any, raw: Raw) -> str:
    document = f"document _id {raw.get('k')!s:.100}"
    if isinstance(job_id, _NoId):
        return f"{job_id.reason}; {document}"
    for name, value, kind, wanted in (
        ("job id", job_id, str, "text"),
        ("state", state, str, "text"),
        ("time", time, datetime, "a date"),
    ):
        if value is None:
            return f"the {name} is missing; {document}"
        if not isinstance(value, kind):
            return f"the {name} is {type(value).__name__}, not {wanted}; {document}"
    raise AssertionError("called for a good transition")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.isoformat()}+00:00"
    return "" if value is None else str(value)


@lru_cache(256)
def _second(days: int, seconds: int) -> str:
    return (_EPOCH + timedelta(days, seconds)).isoformat()


def moment_in(value: Any) -> datetime | None:
    """A date, or Unix seconds as a number, as the driver gives dates; None where it is neither."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            whole = datetime.fromtimestamp(value, timezone.utc).replace(tzinfo=None)
        except (OverflowError, OSError, ValueError):
            return None
        return whole.replace(microsecond=whole.microsecond // 1000 * 1000)
    return None


def _skipped(operation: str, raw: Raw) -> str:
    if operation == "delete":
        logger.warning(
            "a job was deleted: nothing is sent for it; document _id %.100s", raw.get("k")
        )
        return "delete"
    logger.warning(
        "%s",
        _COLLECTION.get(operation, f"the collection had a {operation}: nothing is sent for it"),
    )
    return "collection"
