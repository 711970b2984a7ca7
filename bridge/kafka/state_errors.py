"""The errors of the state topic, of its consumer group and of its transactional id."""

from bridge.errors import (
    RETRIED,
    CheckpointUnusable,
    Fenced,
    Misconfigured,
    NotPermitted,
    Retryable,
)
from bridge.hints import Hint

_NOTHING_DONE = "Nothing was read or sent"
_UNCHANGED = "Nothing is lost: the stored position is unchanged"
_SCRIPT = f"as the script of '{Hint.RIGHTS_KAFKA}' does"


class PositionMissing(CheckpointUnusable):
    """The state topic has records, but none of this name."""


def missing_state_topic_error(topic: str) -> Misconfigured:
    """The state topic does not exist."""
    return Misconfigured(
        f"The state topic {topic} does not exist, or this user may not see it",
        _NOTHING_DONE,
        f"'{Hint.CREATE_TOPICS}' creates it; or grant Describe on it, {_SCRIPT}",
    )


def state_permission_error(topic: str, operation: str) -> NotPermitted:
    """This user lacks ``Read`` or ``Write`` on the state topic."""
    return NotPermitted(
        f"Kafka does not let this user {operation.lower()} the state topic {topic}",
        _NOTHING_DONE,
        f"Grant Read, Write and Describe on {topic}, {_SCRIPT}",
        part="kafka",
    )


def group_permission_error(group: str, text: str) -> NotPermitted:
    """This user may not join the group, or not commit in it."""
    return NotPermitted(
        f"Kafka does not let this user join the consumer group {group}: {text}",
        _UNCHANGED,
        f"Grant Read on the group {group}, {_SCRIPT}",
        part="kafka",
    )


def coordinator_error(group: str, text: str) -> Retryable:
    """The coordinator of the group does not answer."""
    return Retryable(
        f"Kafka's coordinator of the group {group} does not answer{f': {text}' if text else ''}",
        _UNCHANGED,
        f"Check Kafka. {RETRIED}",
        part="kafka",
    )


def unfinished_transaction_error(topic: str, seconds: float) -> Retryable:
    """Open transactions of other producers hold the end of the state topic back."""
    return Retryable(
        f"The end of the state topic {topic} could not be read for {seconds:g} s: a transaction of "
        "another producer is open, or a broker does not deliver it",
        _NOTHING_DONE,
        f"Check Kafka, and that only bridges write to {topic}. {RETRIED}",
        part="kafka",
    )


def missing_position_error(topic: str, name: str) -> PositionMissing:
    """The state topic has records, but none of this name: a start at the present would skip."""
    return PositionMissing(
        f"The state topic {topic} has records, but no position of '{name}'",
        _NOTHING_DONE,
        f"Check checkpoint.name ('{Hint.TOKEN_LIST}' shows all). If '{name}' is new, run "
        f"'{Hint.TOKEN_CLEAR}' to start by start.from, or '{Hint.TOKEN_SET_TIME}'",
    )


def owner_sentence(owner: str, name: str) -> str:
    """Say which bridge owns the checkpoint."""
    return f"{owner} owns the checkpoint '{name}'"


def fenced_error(owner: str) -> Fenced:
    """Another bridge owns the checkpoint that was ours; ``owner`` is a sentence."""
    return Fenced(
        f"Another bridge took over: {owner}",
        "Nothing is lost: the new owner resumes from the last stored position; this "
        "bridge has stored nothing since",
        "If this was intended, do nothing; otherwise give each bridge its own checkpoint.name",
    )


def not_owned_error(name: str) -> Fenced:
    """The checkpoint was given back, or never acquired."""
    return Fenced(f"This bridge does not own the checkpoint '{name}'", "Nothing was stored")


def lost_error(group: str) -> Retryable:
    """The group gives the partition to no member, or not to this bridge yet."""
    return Retryable(
        f"The consumer group {group} does not give the state topic to this bridge yet",
        _UNCHANGED,
        f"If it lasts, look at the group's members ('{Hint.STATUS_GROUP}'). {RETRIED}",
        part="kafka",
    )


def unconfirmed_error(group: str, seconds: float) -> Retryable:
    """The coordinator has not confirmed the ownership: another bridge may own it soon."""
    return Retryable(
        f"Kafka has not confirmed for {seconds:.0f} s that the group {group} gives the state topic "
        "to this bridge",
        "Nothing is lost: sending stops before another bridge may take over",
        f"Check Kafka. {RETRIED}",
        part="kafka",
    )


def reread_error() -> Retryable:
    """The producer was discarded: the position in memory may not be the stored position."""
    return Retryable(
        "The transactional producer failed and was discarded",
        "Nothing is lost: the position is read again before anything is sent",
        RETRIED,
        part="kafka",
    )


def unanswered_save_error(seconds: float) -> Retryable:
    """A commit was not answered in time."""
    return Retryable(
        f"Kafka did not confirm for {seconds:g} s that the position is stored",
        "Nothing is lost: the stored position is read again",
        RETRIED,
        part="kafka",
    )
