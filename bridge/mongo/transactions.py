"""Finds the events of a transaction: they have the same cluster time."""

from collections.abc import Iterator, Sequence
from typing import Any

from bridge.model.position import TIME_DIGITS
from bridge.mongo.event_fields import DOCUMENT_KEY, TOKEN
from bridge.mongo.known_jobs import cache_key

Raw = dict[str, Any]


def last_commit(events: list[Raw]) -> list[Raw]:
    """Return the last events, as far as they have the same cluster time."""
    if not events:
        return []
    time = events[-1][TOKEN]["_data"][:TIME_DIGITS]
    return events[_start_of(time, events) :]


def same_commit(raw: Raw, known: Sequence[Raw]) -> Iterator[Raw]:
    """Return the events before ``raw`` of the same transaction and document, in their order.

    Args:
        known: events in stream order, among them ``raw``.
    """
    time, key = raw[TOKEN]["_data"][:TIME_DIGITS], cache_key(raw[DOCUMENT_KEY])
    for event in known:
        if event is raw:
            return
        same_time = event[TOKEN]["_data"][:TIME_DIGITS] == time
        if same_time and cache_key(event.get(DOCUMENT_KEY)) == key:
            yield event


def _start_of(time: str, events: Sequence[Raw]) -> int:
    first = len(events)
    while first and events[first - 1][TOKEN]["_data"][:TIME_DIGITS] == time:
        first -= 1
    return first
