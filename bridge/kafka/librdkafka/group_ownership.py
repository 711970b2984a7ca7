"""Decides by the group's assignment whether this bridge owns the checkpoint."""

import time
from collections.abc import Mapping
from contextlib import suppress

from confluent_kafka import KafkaException

from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.librdkafka.group import CONFIRM_SECONDS, OwnerGroup
from bridge.kafka.librdkafka.group_members import (
    DESCRIBE_SECONDS,
    GroupMember,
    GroupMembers,
    membership_of,
)
from bridge.kafka.librdkafka.replaceable_admin import ReplaceableAdmin
from bridge.kafka.state_errors import (
    coordinator_error,
    fenced_error,
    lost_error,
    owner_sentence,
    unconfirmed_error,
)
from bridge.kafka.topics import owner_id_of
from bridge.model.membership import Membership
from bridge.settings import Settings

#: How long a first ``acquire`` waits for the assignment while no other bridge is the owner: longer
#: than the session of an ended process, and than the broker's group.initial.rebalance.delay.ms.
JOIN_SECONDS = 10.0
#: How long to look for an owner before joining.
_LOOK_SECONDS = 2.0
#: Without a confirmation for this time nothing more is sent: others need the whole session.
SILENT_SECONDS = timeouts.GROUP_SESSION_SECONDS * 2 / 3
#: From this age of the latest confirmation on, a renewal waits for the next.
_OVERDUE_SECONDS = 2.5
#: How long such a renewal waits, and how long the coordinator may take to name the owner.
_WAIT_SECONDS = 0.6
_SLICE_SECONDS = 0.05
#: How old the description of the group may be for a standby, and for reports.
_STANDBY_AGE_SECONDS = 0.5
_REPORT_AGE_SECONDS = 5.0


class GroupOwnership:
    """The ownership of the checkpoint ``name``.

    Args:
        settings: The connection.
        topic: The state topic.
        name: The name of the checkpoint, for messages.
        admin: Describes the group.
        latest_warning: Notes the warnings of the client.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        name: str,
        *,
        admin: ReplaceableAdmin,
        latest_warning: LatestWarning,
    ) -> None:
        self.group_id = owner_id_of(name)
        self._name = name
        self._latest_warning = latest_warning
        self._group = OwnerGroup(settings, topic, self.group_id, latest_warning=latest_warning)
        self._members = GroupMembers(admin, settings, self.group_id)
        self._joined_at = 0.0
        self._has_seen_owner = False

    @property
    def joined(self) -> bool:
        """Whether this process is a member, or is becoming a member."""
        return self._group.joined

    def acquire(self, seconds: float = JOIN_SECONDS) -> str:
        """Join the group; return ``""`` when it gives us the partition, else its owner in words.

        It returns at once while another bridge is the owner, and otherwise waits for ``seconds``.
        The first call that finds another owner does not join. A command ends then: a member that
        leaves while it joins keeps the group from an assignment until its session ends.

        Raises:
            Retryable: The coordinator does not answer, or gives the partition to no member yet.
            NotPermitted: This user may not join the group.
        """
        if not self._group.joined:
            if owner := self._first_seen_owner(min(seconds, _LOOK_SECONDS)):
                return owner_sentence(owner.text, self._name)
            self._joined_at = time.monotonic()
            self._group.join()
        started = time.monotonic()
        self._group.poll()
        while not self._is_confirmed():
            members = self._members.latest(_STANDBY_AGE_SECONDS)
            self._members.remove_dead(self._group.former_id)
            owner = self._other_owner(members)
            if owner is not None and self._is_recent(started) and not self._group.owns:
                return owner_sentence(owner.text, self._name)
            self._refuse_silence(started, seconds)
            self._group.poll(_SLICE_SECONDS)
        return ""

    def renew(self, offset: int = 0) -> bool:
        """Serve the group, and ask it once a second to confirm the ownership.

        It waits only when confirmations are overdue, for at most a second and a half.

        Args:
            offset: The position in the state topic, for monitors.

        Returns:
            Whether the ownership was lost and is back: another bridge may have had it meanwhile.

        Raises:
            Fenced: Another bridge is the owner.
            Retryable: There is no owner, or the coordinator has confirmed nothing for too long.
        """
        group = self._group
        group.poll()
        self._members.latest(_REPORT_AGE_SECONDS)
        if group.confirmed_seconds_ago >= CONFIRM_SECONDS:
            group.request_confirmation(offset)
        deadline = time.monotonic() + _WAIT_SECONDS
        while (
            group.owns
            and group.confirmed_seconds_ago >= _OVERDUE_SECONDS
            and time.monotonic() < deadline
        ):
            group.request_confirmation(offset)
            group.poll(_SLICE_SECONDS)
        is_back = not group.owns
        if is_back:
            self._regain()
        if group.confirmed_seconds_ago >= SILENT_SECONDS:
            raise unconfirmed_error(self.group_id, group.confirmed_seconds_ago)
        return is_back

    def release(self) -> None:
        """Leave the group, so that another bridge becomes the owner at once."""
        self._group.leave()

    def membership(self, since: Mapping[str, float | None]) -> Membership:
        """Return the members as last described; safe on any thread.

        Args:
            since: When an owner, by its text, became the owner, if that is known.
        """
        return membership_of(self._members.known, self._group.member_id, since)

    def describe(self, since: Mapping[str, float | None]) -> Membership:
        """Ask the coordinator for the members, for at most ``DESCRIBE_SECONDS``.

        Args:
            since: As for ``membership``.

        Raises:
            BridgeError: It does not answer, or refuses.
        """
        members = self._described(DESCRIBE_SECONDS)
        if members is None:
            raise coordinator_error(self.group_id, self._latest_warning.recent())
        return membership_of(members, self._group.member_id, since)

    def _first_seen_owner(self, seconds: float) -> GroupMember | None:
        """Return another owner, the first time that there is one.

        Without an answer in time, or after a refusal, joining shows what is wrong.
        """
        if self._has_seen_owner:
            return None
        with suppress(KafkaException):
            owner = self._other_owner(self._members.now(seconds) or ())
            self._has_seen_owner = owner is not None
            return owner
        return None

    def _is_recent(self, started: float) -> bool:
        """Whether the description is of this membership, and recent enough for a standby."""
        oldest = max(self._joined_at, started - 2 * _STANDBY_AGE_SECONDS)
        return self._members.answered_at >= oldest

    def _is_confirmed(self) -> bool:
        if self._group.owns and not self._group.confirmed_at:
            self._group.request_confirmation()
        return self._group.owns and bool(self._group.confirmed_at)

    def _other_owner(self, members: tuple[GroupMember, ...]) -> GroupMember | None:
        """Return the owner if it is another process that may be alive."""
        for member in members:
            if member.owns and not (self._group.is_own(member.member_id) or member.is_dead):
                return member
        return None

    def _refuse_silence(self, started: float, seconds: float) -> None:
        """Raise ``Retryable`` after ``seconds``, or earlier when the coordinator is silent."""
        now = time.monotonic()
        silent_seconds = now - max(self._joined_at, self._members.answered_at)
        if silent_seconds >= DESCRIBE_SECONDS:
            # The next clients read the password again.
            self._group.leave(0.0)
            self._members.forget()
            if (refusal := self._members.refusal) is not None:
                raise classify(refusal, self._latest_warning.recent())
            raise coordinator_error(self.group_id, self._latest_warning.recent())
        if now - started >= seconds:
            raise lost_error(self.group_id)

    def _regain(self) -> None:
        """Become the owner again, unless another bridge is."""
        owner = self._other_owner(self._described(_WAIT_SECONDS) or ())
        if owner:
            raise fenced_error(owner_sentence(owner.text, self._name))
        if text := self.acquire(_WAIT_SECONDS):
            raise fenced_error(text)

    def _described(self, seconds: float) -> tuple[GroupMember, ...] | None:
        try:
            return self._members.now(seconds)
        except KafkaException as error:
            raise classify(error, "") from error
