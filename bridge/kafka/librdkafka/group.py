"""Membership of a consumer group that decides which bridge owns a checkpoint.

The group has one partition to assign, of the state topic, and its owner reads no record of it.

- The protocol is the classic one with ``cooperative-sticky``: the owner keeps the partition while
  others join (KIP-429), and a member chooses its session timeout.
- Callbacks run only inside ``poll``, on the thread that calls it. A process that polls no more
  loses the partition after ``max.poll.interval.ms``, five minutes.
- A commit of an offset proves the membership: the coordinator refuses it from any other generation
  of the group (KIP-447 explains the check).
"""

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.client import ClientLogger, connection
from bridge.kafka.librdkafka.closing import close_within
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.librdkafka.group_members import member_client_id
from bridge.kafka.state_errors import group_permission_error
from bridge.settings import Settings

#: A standby learns of a new assignment with a heartbeat.
HEARTBEAT_SECONDS = 0.5
MAX_POLL_SECONDS = 300.0
#: How often to ask the coordinator for a confirmation.
CONFIRM_SECONDS = 1.0
#: How long to wait for the coordinator to note that this member leaves.
LEAVE_SECONDS = 2.0
_POLL_SLICE_SECONDS = 0.02
#: This member is not in the group any more, or another process has its instance id. A commit with
#: ILLEGAL_GENERATION only met a rebalance, in which the member keeps its partition: it confirms
#: nothing, and the next commit has the new generation.
_EXPELLED = frozenset({KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_INSTANCE_ID})


class OwnerGroup:
    """A membership; every method returns at once unless it says otherwise.

    Args:
        settings: The connection, and ``checkpoint.instance``.
        topic: The state topic.
        group: The group's id.
        latest_warning: Notes the warnings of the client.

    Attributes:
        owns: Whether the partition is assigned to this member.
        confirmed_at: When the latest confirmation was requested, in monotonic seconds; 0 before the
            first of this assignment.
        member_id: The coordinator's name for this member; empty before the first assignment.
        former_id: The member id that this process left with, which may still have its session.
    """

    def __init__(
        self, settings: Settings, topic: str, group: str, *, latest_warning: LatestWarning
    ) -> None:
        self.owns = False
        self.confirmed_at = 0.0
        self.member_id = ""
        self.former_id = ""
        self._settings = settings
        self._topic = topic
        self._group = group
        self._latest_warning = latest_warning
        self._consumer: Consumer | None = None
        #: When the confirmation in flight was requested; None if none is in flight.
        self._asked_at: float | None = None
        self._refusal: KafkaError | None = None
        #: Whether the client works no more; the next ``join`` makes another.
        self._failed = False

    @property
    def joined(self) -> bool:
        """Whether this process is a member, or is becoming a member."""
        return self._consumer is not None

    @property
    def confirmed_seconds_ago(self) -> float:
        """The age of the latest confirmation; infinite before the first of this assignment."""
        return time.monotonic() - self.confirmed_at if self.confirmed_at else float("inf")

    def is_own(self, member_id: str) -> bool:
        """Whether this is the name of this member.

        A client that was expelled joins again by itself, under a new name: the coordinator may
        describe it before ``poll`` has served the assignment.
        """
        current = self._consumer.memberid() if self._consumer is not None else None
        return member_id in (self.member_id, current)

    def join(self) -> None:
        """Start to join the group, unless this process is a member.

        Raises:
            BridgeError: The settings of the client do not work.
        """
        if self._consumer is not None:
            return
        self._refusal = None
        self._failed = False
        try:
            self._consumer = Consumer(
                connection(self._settings, self._latest_warning) | self._options(),
                logger=ClientLogger(self._latest_warning),
            )
        except KafkaException as error:
            raise classify(error, self._latest_warning.recent()) from error
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._ended, on_lost=self._ended
        )

    def poll(self, seconds: float = 0.0) -> None:
        """Serve the callbacks; with ``seconds`` until the assignment or a confirmation changes.

        Raises:
            NotPermitted: This user may not join the group.
        """
        before = (self.owns, self.confirmed_at)
        deadline = time.monotonic() + seconds
        while self._consumer is not None:
            left = deadline - time.monotonic()
            message = self._consumer.poll(max(0.0, min(left, _POLL_SLICE_SECONDS)))
            error = message.error() if message else None
            if error is not None:
                self._note(error)
            if self._failed:
                self.leave()
            if self._refusal is not None:
                raise group_permission_error(self._group, self._refusal.name())
            if left <= 0 or (self.owns, self.confirmed_at) != before:
                return

    def request_confirmation(self, offset: int = 0) -> None:
        """Ask the coordinator whether the partition is still ours; ``poll`` notes the answer.

        Args:
            offset: Committed for monitors of consumer groups, which show the lag from it.
        """
        if not self.owns or self._consumer is None or self._asked_at is not None:
            return
        self._asked_at = time.monotonic()
        try:
            self._consumer.commit(
                offsets=[TopicPartition(self._topic, 0, offset)], asynchronous=True
            )
        except KafkaException as error:
            self._asked_at = None
            self._note(error.args[0])

    def leave(self, seconds: float = LEAVE_SECONDS) -> None:
        """Leave the group; waits for the coordinator for at most ``seconds``."""
        consumer, self._consumer = self._consumer, None
        self.former_id = self.member_id
        self._end()
        if consumer is not None:
            close_within(consumer, seconds)

    def _options(self) -> dict[str, Any]:
        instance = self._settings.checkpoint.instance
        options = {
            "client.id": member_client_id(time.time()),
            "group.id": self._group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": timeouts.milliseconds(timeouts.GROUP_SESSION_SECONDS),
            "heartbeat.interval.ms": timeouts.milliseconds(HEARTBEAT_SECONDS),
            "max.poll.interval.ms": timeouts.milliseconds(MAX_POLL_SECONDS),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "on_commit": self._answered,
        }
        return options | ({"group.instance.id": instance} if instance else {})

    def _assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        # Nothing is fetched: the position is read by another client.
        starts = [TopicPartition(part.topic, part.partition, OFFSET_END) for part in partitions]
        consumer.incremental_assign(starts)
        if starts:
            consumer.pause(starts)
        if any(part.topic == self._topic and part.partition == 0 for part in partitions):
            self.member_id = consumer.memberid() or ""
            self.owns = True
            self.confirmed_at = 0.0
            self._asked_at = None

    def _ended(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        if any(part.topic == self._topic and part.partition == 0 for part in partitions):
            self._end()

    def _end(self) -> None:
        self.owns = False
        self.confirmed_at = 0.0
        self._asked_at = None

    def _answered(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        asked_at, self._asked_at = self._asked_at, None
        if error is not None:
            self._note(error)
        elif self.owns and asked_at is not None:
            self.confirmed_at = asked_at

    def _note(self, error: KafkaError) -> None:
        """Note the meaning of an error; the client retries after all others by itself."""
        if error.code() in _EXPELLED:
            self._end()
        elif error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            self._refusal = error
        self._failed = self._failed or error.fatal()
        self._latest_warning.note(f"{error.name()}: {error.str()}")
