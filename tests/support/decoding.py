"""Decodes shaped change events without a server."""

from __future__ import annotations

from typing import Any

from bridge.model.profile import PROFILES
from bridge.model.transition import Event, Poison, Transition
from bridge.mongo.decoder import Decoder
from bridge.mongo.job_id_cache import JobIdCache
from tests.support.factories import (
    Raw,
)


def decoded(*raws: Raw, profile: str = "cts", jobs: dict[Any, Any] | None = None) -> list[Event]:
    known = {"key": "job-0"} if jobs is None else jobs
    ids = JobIdCache(lambda keys: [(key, known[key]) for key in keys if key in known])
    return Decoder(PROFILES[profile], ids).decode(raws)


def item(raw: Raw, **options: Any) -> Transition | Poison:
    (event,) = decoded(raw, **options)
    assert event.skipped == ""
    (only_item,) = event.items
    return only_item
