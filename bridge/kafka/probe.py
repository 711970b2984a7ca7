"""Asks the brokers about a topic again and again, on a connection that is kept."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from bridge.errors import BridgeError
from bridge.kafka.errors import leaderless_error, replicas_error
from bridge.kafka.topics import missing_topic_error, write_permission_error

#: How long a question may take; a client needs longer only while it connects.
ANSWER_SECONDS = 2.0
CONNECT_SECONDS = 4.0
#: The longest pause between its attempts to connect, so that a broker's return is noticed soon.
RECONNECT_SECONDS = 0.25


class TopicState(NamedTuple):
    """A topic as a broker describes it.

    Attributes:
        partitions: The number of its partitions.
        leaderless: The partitions without a leader.
        writable: False only if the broker reports that this user may not write.
        in_sync: The number of in-sync replicas of each partition; empty if that is unknown.
        needed: How many the topic needs (``min.insync.replicas``); None without DescribeConfigs.
    """

    partitions: int
    leaderless: tuple[int, ...]
    writable: bool
    in_sync: Mapping[int, int] = {}
    needed: int | None = None

    @property
    def short(self) -> tuple[int, ...]:
        """The partitions that accept no messages, because in-sync replicas are missing."""
        needed = self.needed or 1
        return tuple(number for number, count in self.in_sync.items() if count < needed)


class TopicProbe(Protocol):
    """Asks whether a topic would accept messages; for a single thread.

    It does not send any: an idle bridge cannot know more without writing into the topic.
    """

    def check(self) -> None:
        """Ask a broker, within a few seconds. Raises the bridge's errors.

        After an error the next call uses a new client.
        """

    def close(self) -> None:
        """Close the client; the next ``check`` makes a new one."""


def admit(topic: str, state: TopicState | None) -> None:
    """Raise the bridge's error for a topic that accepts no messages; None if it is missing."""
    error: BridgeError | None = None
    if state is None:
        error = missing_topic_error(topic)
    elif not state.writable:
        error = write_permission_error(topic)
    elif state.leaderless:
        error = leaderless_error(topic, state.leaderless, state.partitions)
    elif state.short:
        error = replicas_error(topic, state.short, state.partitions, needed=state.needed or 1)
    if error is not None:
        raise error
