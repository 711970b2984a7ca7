"""Decodes shaped change events without a server."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from bridge.model.position import ClusterTime, Position, position_before
from bridge.model.profile import PROFILES, Profile
from bridge.model.transition import Event, Poison, Transition
from bridge.mongo.decoder import Decoder
from bridge.mongo.job_lookup import Image
from bridge.mongo.known_jobs import KnownJobs, cache_key
from tests.support.factories import NOON, Raw, inserted, shaped

LONG_AGO = position_before(ClusterTime(1))


class FakeLookup:
    """Documents by ``_id``; a document of an earlier time is given, or not kept by the server."""

    def __init__(self, documents: Sequence[tuple[Any, Raw]] = ()) -> None:
        self._documents = {cache_key(key): document for key, document in documents}
        #: The documents as they were before the events, by ``_id``.
        self.before: dict[Any, Raw] = {}
        #: The documents as they were right after the events, by ``_id``.
        self.after: dict[Any, Raw] = {}
        #: The documents that did not exist before the events.
        self.missing: set[Any] = set()
        self.lookups = 0
        self.queries: list[list[Any]] = []
        #: The cluster times for which a document was read.
        self.times: list[ClusterTime] = []

    def add(self, key: Any, document: Raw) -> None:
        self._documents[cache_key(key)] = document

    def current(self, keys: Sequence[Any], token: str = "") -> Mapping[Hashable, Raw]:
        if not keys:
            return {}
        self.lookups += 1
        self.queries.append(list(keys))
        wanted = [cache_key(key) for key in keys]
        return {key: self._documents[key] for key in wanted if key in self._documents}

    def renamed(self, key: Any, token: str) -> Raw | None:
        return None

    def at(self, key: Any, time: ClusterTime) -> Image | None:
        self.times.append(time)
        # Events have the increment 1, see factories.token().
        images = self.after if time.increment else self.before
        if key in self.missing and not time.increment:
            return Image(None)
        return Image(images[key]) if key in images else None


def document(job_id: Any, *elements: Raw, archive: Sequence[Raw] = (), key: Any = "key") -> Raw:
    """A job with a history of these shaped elements."""
    names = {"s": "state", "d": "time", "i": "trans_id"}

    def whole(element: Raw) -> Raw:
        return {names[name]: value for name, value in element.items() if name in names}

    job = {"_id": key, "id": job_id, "transition_times": [whole(each) for each in elements]}
    if archive:
        job["trans_history"] = [whole(each) for each in archive]
    return job


def decoder(
    lookup: FakeLookup | None = None,
    profile: str | Profile = "cts",
    *,
    known: KnownJobs | None = None,
    start: Position = LONG_AGO,
) -> Decoder:
    """A decoder as a newly opened stream has it."""
    chosen = PROFILES[profile] if isinstance(profile, str) else profile
    known = KnownJobs() if known is None else known
    return Decoder(chosen, known, lookup or FakeLookup(), start=start)  # type: ignore[arg-type]


def decoder_after_insert(
    *elements: Raw, lookup: FakeLookup | None = None, archive: Sequence[Raw] = ()
) -> Decoder:
    """A decoder that knows the job of these elements."""
    prepared = decoder(lookup)
    prepared.decode([inserted(0, *elements) | ({"h": list(archive)} if archive else {})])
    return prepared


def items_of(decoder: Decoder, *raws: Raw) -> list[Transition | Poison]:
    return [item for event in decoder.decode(raws) for item in event.items]


def updated(number: int, *changes: Raw, key: Any = "key", **fields: Any) -> Raw:
    """The n-th event, an update with these changes of the history."""
    return shaped(number, "update", key, t=list(changes), **fields)


def in_place(index: int, array: str = "transition_times", **values: Any) -> list[Raw]:
    """Changes of the fields of an element."""
    return [{"k": f"{array}.{index}.{name}", "v": value} for name, value in values.items()]


def in_transaction(*raws: Raw) -> list[Raw]:
    """Give the events the cluster time of the first."""
    time = raws[0]["_id"]["_data"][:18]
    return [raw | {"_id": {"_data": f"{time}2B0229296E04{n:08X}"}} for n, raw in enumerate(raws, 1)]


def sequence_of(number: int) -> int:
    """The sequence of the n-th element, whose time is later than its predecessor's."""
    return (round(NOON.timestamp() * 1000) + number) * 1000


def decoded(*raws: Raw, lookup: FakeLookup | None = None, profile: str = "cts") -> list[Event]:
    return decoder(lookup, profile).decode(raws)


def item(raw: Raw, **options: Any) -> Transition | Poison:
    """The only transition of an event."""
    (event,) = decoded(raw, **options)
    assert event.skipped == ""
    (only_item,) = event.items
    return only_item


def item_after_insert(raw: Raw) -> Transition | Poison:
    """The only transition of an event of a job that is known."""
    (only_item,) = items_of(decoder_after_insert(), raw)
    return only_item
