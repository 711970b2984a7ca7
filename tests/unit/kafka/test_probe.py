"""The verdict on a topic that a broker describes."""

from __future__ import annotations

import pytest

from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.kafka.probe import TopicState, admit


def test_a_topic_with_leaders_is_admitted() -> None:
    admit("jobs", TopicState(3, (), writable=True))
    admit("jobs", TopicState(2, (), writable=True, in_sync={0: 2, 1: 3}, needed=2))
    admit("jobs", TopicState(2, (), writable=True, in_sync={0: 1, 1: 1}))


def test_a_missing_topic_is_named() -> None:
    with pytest.raises(Misconfigured, match="The topic jobs does not exist"):
        admit("jobs", None)


def test_a_topic_without_permission_is_named() -> None:
    with pytest.raises(NotPermitted, match="write to the topic jobs"):
        admit("jobs", TopicState(3, (), writable=False))


def test_partitions_without_leader_are_named() -> None:
    with pytest.raises(Retryable, match=r"2 of 3 partitions of the topic jobs .* \(0, 2\)"):
        admit("jobs", TopicState(3, (2, 0), writable=True))


def test_missing_in_sync_replicas_are_named() -> None:
    state = TopicState(3, (), writable=True, in_sync={0: 2, 1: 1, 2: 1}, needed=2)

    with pytest.raises(Retryable, match=r"2 of 3 .* min\.insync\.replicas = 2 \(1, 2\)"):
        admit("jobs", state)
