"""The members of an owner group, as the group's coordinator describes them.

The client id of a member names its process, so that anyone who describes the group can see which
bridge owns the checkpoint, and a bridge can recognize an ended process of its own host.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from bridge.daemon_executor import DaemonExecutor
from bridge.errors import BridgeError
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.errors import UNAVAILABLE_COORDINATOR
from bridge.kafka.librdkafka.replaceable_admin import ReplaceableAdmin
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import is_dead, process_text, this_process
from bridge.settings import Settings

logger = logging.getLogger("bridge")

#: How long the coordinator may take to describe a group.
DESCRIBE_SECONDS = 5.0
_RETRY_SECONDS = 0.2
#: librdkafka's longest timeout. After the timeout of a request to a coordinator, a late answer or
#: a lost connection ends the process ("eonce->refcnt > 0"), so waits have deadlines of their own.
_REQUEST_SECONDS = 3600.0
_UNAVAILABLE = UNAVAILABLE_COORDINATOR | {KafkaError._ALL_BROKERS_DOWN}
_PREFIX = "job-bridge"
_SEPARATOR = "_"
#: Host, boot and namespace of the process, its number, its start, and when it joined.
_FIELDS = 6


def member_client_id(joined_at: float) -> str:
    """Return the client id of a member that joins now (Unix seconds)."""
    process = this_process()
    host, boot, namespace = [*process["host"].split("/"), "", ""][:3]
    parts = (host, boot, namespace, process["pid"], process["start"], int(joined_at))
    return _SEPARATOR.join(map(str, (_PREFIX, *parts)))


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of the group.

    Attributes:
        member_id: The coordinator's name for it.
        instance: Its name for static membership; empty for a dynamic member.
        process: ``{host, pid, start}`` of its process; empty if it is not a bridge.
        joined_at: When its process joined, in Unix seconds; None if that is not known.
        owns: Whether it has the partition.
        text: The member in words.
    """

    member_id: str
    instance: str
    process: dict[str, Any]
    joined_at: float | None
    owns: bool
    text: str

    @property
    def is_dead(self) -> bool:
        """Whether it is an ended process of this host."""
        return bool(self.process) and is_dead(self.process)

    def member(self) -> Member:
        """Return the member for reports."""
        return Member(self.text, self.joined_at)


class GroupMembers:
    """Describes a group without blocking its caller, and removes members whose process ended.

    Args:
        admin: Describes the group.
        settings: For the client that removes members.
        group: The group's id.

    Attributes:
        known: The members as last described.
        answered_at: When that description was requested, in monotonic seconds.
        refusal: The error of the latest description; None when it succeeded.
    """

    def __init__(self, admin: ReplaceableAdmin, settings: Settings, group: str) -> None:
        self._admin = admin
        self._settings = settings
        self._group = group
        self._asked: Future[Any] | None = None
        self._asked_at = -DESCRIBE_SECONDS
        self.known: tuple[GroupMember, ...] = ()
        self.answered_at = -DESCRIBE_SECONDS
        self.refusal: BaseException | None = None
        self._removals = DaemonExecutor("remove-members")
        self._removed: set[str] = set()

    def latest(self, max_age: float) -> tuple[GroupMember, ...]:
        """Return the members as last described; ask again when that is older than ``max_age``."""
        self._collect()
        if self._asked is None and time.monotonic() - self._asked_at >= max_age:
            self._ask()
        return self.known

    def now(self, seconds: float) -> tuple[GroupMember, ...] | None:
        """Describe the group now; return None if the coordinator does not answer in time.

        Raises:
            KafkaException: The coordinator refuses.
        """
        asked_at = time.monotonic()
        future = self._ask()
        try:
            self._note(future.result(seconds), asked_at)
        except TimeoutError:
            return None
        except KafkaException as error:
            if error.args[0].code() in _UNAVAILABLE:
                return None
            raise
        return self.known

    def forget(self) -> None:
        """Forget the request in flight; the next makes another client."""
        self._asked = None
        self._admin.discard()

    def remove_dead(self, former_id: str) -> None:
        """Start to remove members of ended processes of this host, each once.

        Args:
            former_id: A member id that this process has given up, and that is removed too.
        """
        dead = [
            member
            for member in self.known
            if member.member_id not in self._removed
            and (member.is_dead or member.member_id == former_id)
        ]
        if dead:
            self._removed.update(member.member_id for member in dead)
            self._removals.submit(self._remove, dead)

    def _ask(self) -> Future[Any]:
        self._asked_at = time.monotonic()
        futures = self._admin.client.describe_consumer_groups(
            [self._group], request_timeout=_REQUEST_SECONDS
        )
        self._asked = futures[self._group]
        return self._asked

    def _collect(self) -> None:
        """Note an answer, or a refusal, which is left to the calls that need an answer."""
        if self._asked is not None and self._asked.done():
            future, self._asked = self._asked, None
            self.refusal = future.exception()
            if self.refusal is None:
                self._note(future.result(), self._asked_at)

    def _note(self, description: Any, asked_at: float) -> None:
        self._asked = None
        self.known = members_of(description)
        self.answered_at = asked_at

    def _remove(self, members: Sequence[GroupMember]) -> None:
        from bridge.kafka.kafka_python.groups import remove_members

        try:
            remove_members(
                self._settings,
                self._group,
                [(member.member_id, member.instance) for member in members],
            )
        except BridgeError as error:
            logger.warning(
                "the group %s keeps a member whose process ended, until its session ends: %s",
                self._group,
                error,
            )
            return
        for member in members:
            logger.info("removed %s from the group %s", member.text, self._group)


def describe_groups(admin: AdminClient, groups: Sequence[str], **options: Any) -> dict[str, Any]:
    """Return the descriptions of ``groups``; waits for up to ``DESCRIBE_SECONDS``.

    A coordinator that moves, or that Kafka makes for the first group, is asked again.

    Raises:
        KafkaException: A coordinator does not answer, or refuses.
    """
    deadline = time.monotonic() + DESCRIBE_SECONDS
    described: dict[str, Any] = {}
    while missing := [group for group in groups if group not in described]:
        left = max(_RETRY_SECONDS, deadline - time.monotonic())
        futures = admin.describe_consumer_groups(
            missing, request_timeout=_REQUEST_SECONDS, **options
        )
        for group, future in futures.items():
            try:
                described[group] = _answer(future, left)
            except KafkaException as error:
                if error.args[0].code() not in _UNAVAILABLE or time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
    return described


def _answer(future: Future[Any], seconds: float) -> Any:
    """Return the answer of a coordinator. Raises ``KafkaException``."""
    try:
        return future.result(seconds)
    except TimeoutError:
        text = f"no coordinator answered within {seconds:.0f} s"
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, text)) from None


def members_of(description: Any) -> tuple[GroupMember, ...]:
    """Return the members in a group's description."""
    return tuple(map(_member, description.members))


def membership_of(
    members: Sequence[GroupMember], member_id: str, since: Mapping[str, float | None]
) -> Membership:
    """Return the members for reports.

    Args:
        members: All members of the group.
        member_id: This process's own member id; empty if it is not a member.
        since: When an owner, by its text, became the owner, in Unix seconds, if that is known.
    """
    owner = next((member for member in members if member.owns), None)
    standbys = tuple(member.member() for member in members if member is not owner)
    if owner is None:
        return Membership(None, standbys)
    is_us = owner.member_id == member_id
    return Membership(Member(owner.text, since.get(owner.text)), standbys, is_us)


def _member(description: Any) -> GroupMember:
    process, joined_at = _process(description.client_id)
    address = description.host.lstrip("/")
    text = f"the client {description.client_id} at {address}"
    if process:
        text = process_text(process)
    return GroupMember(
        member_id=description.member_id,
        instance=description.group_instance_id or "",
        process=process,
        joined_at=joined_at,
        owns=_owns(description.assignment),
        text=text,
    )


def _owns(assignment: Any) -> bool:
    """Return whether a member has the first partition; the topic should have no other."""
    partitions = assignment.topic_partitions if assignment else None
    return any(part.partition == 0 for part in partitions or ())


def _process(client_id: str) -> tuple[dict[str, Any], float | None]:
    """Return the process that a client id names, and when it joined."""
    prefix, separator, rest = client_id.partition(_SEPARATOR)
    # A host name may contain the separator; the other parts do not.
    parts = rest.rsplit(_SEPARATOR, _FIELDS - 1)
    if prefix != _PREFIX or not separator or len(parts) != _FIELDS:
        return {}, None
    host, boot, namespace, pid, start, joined_at = parts
    if not (pid.isdecimal() and joined_at.isdecimal()):
        return {}, None
    place = f"{host}/{boot}/{namespace}" if boot else host
    return {"host": place, "pid": int(pid), "start": start}, float(joined_at)
