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
from tests.support.factories import Raw

LONG_AGO = position_before(ClusterTime(1))


class FakeLookup:
    """Documents by ``_id``; a document of an earlier time is given, or not kept by the server."""

    def __init__(self, documents: Sequence[tuple[Any, Raw]] = ()) -> None:
        self._documents = {cache_key(key): document for key, document in documents}
        #: The documents as they were before the events, by ``_id``.
        self.before: dict[Any, Raw] = {}
        self.lookups = 0
        self.queries: list[list[Any]] = []

    def current(self, keys: Sequence[Any], token: str = "") -> Mapping[Hashable, Raw]:
        if not keys:
            return {}
        self.lookups += 1
        self.queries.append(list(keys))
        wanted = [cache_key(key) for key in keys]
        return {key: self._documents[key] for key in wanted if key in self._documents}

    def at(self, key: Any, time: ClusterTime) -> Image | None:
        return Image(self.before[key]) if key in self.before else None


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


def decoded(*raws: Raw, lookup: FakeLookup | None = None, profile: str = "cts") -> list[Event]:
    return decoder(lookup, profile).decode(raws)


def item(raw: Raw, **options: Any) -> Transition | Poison:
    (event,) = decoded(raw, **options)
    assert event.skipped == ""
    (only_item,) = event.items
    return only_item
