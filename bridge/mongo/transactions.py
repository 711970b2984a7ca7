"""Finds the events of a transaction: they have the same cluster time."""

from collections.abc import Iterator, Sequence
from typing import Any

from bridge.model.position import TIME_DIGITS
from bridge.mongo.event_fields import DOCUMENT_KEY, TOKEN
from bridge.mongo.known_jobs import cache_key

Raw = dict[str, Any]


def commit_time(raw: Raw) -> str:
    """Return the cluster time of an event, as the digits of its token."""
    token: str = raw[TOKEN]["_data"]
    return token[:TIME_DIGITS]


def last_commit(events: list[Raw]) -> list[Raw]:
    """Return the last events that have the same cluster time."""
    first = len(events)
    while first and commit_time(events[first - 1]) == commit_time(events[-1]):
        first -= 1
    return events[first:]


def same_commit(raw: Raw, known: Sequence[Raw]) -> Iterator[Raw]:
    """Return the events before ``raw`` of the same transaction and document, in their order.

    Args:
        known: events in stream order, among them ``raw``.
    """
    time, key = commit_time(raw), cache_key(raw[DOCUMENT_KEY])
    for event in known:
        if event is raw:
            return
        if commit_time(event) == time and cache_key(event.get(DOCUMENT_KEY)) == key:
            yield event
