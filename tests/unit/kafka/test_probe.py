"""The verdict on a topic that a broker describes."""

from __future__ import annotations

import pytest

from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.kafka.probe import TopicState, admit


def test_a_topic_with_leaders_is_admitted() -> None:
    admit("jobs", TopicState(3, (), writable=True))


def test_a_missing_topic_is_named() -> None:
    with pytest.raises(Misconfigured, match="The topic jobs does not exist"):
        admit("jobs", None)


def test_a_topic_without_permission_is_named() -> None:
    with pytest.raises(NotPermitted, match="write to the topic jobs"):
        admit("jobs", TopicState(3, (), writable=False))


def test_partitions_without_leader_are_named() -> None:
    with pytest.raises(Retryable, match=r"2 of 3 partitions of the topic jobs .* \(0, 2\)"):
        admit("jobs", TopicState(3, (2, 0), writable=True))
