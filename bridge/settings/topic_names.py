"""The names of the topics: Kafka's rules, and the suffixes of the topics beside ``kafka.topic``."""

import re

#: Kafka's limit.
_MAX_CHARACTERS = 249
#: Dead letters have the topic with this suffix.
DEAD_LETTER_SUFFIX = "-dlq"
#: The positions of the bridges have the topic with this suffix, with checkpoint.store = kafka.
STATE_SUFFIX = "-bridge-state"
_MAX_WITH_DEAD_LETTERS = _MAX_CHARACTERS - len(DEAD_LETTER_SUFFIX)
_MAX_WITH_STATE = _MAX_CHARACTERS - len(STATE_SUFFIX)


def checked_topic(name: str) -> str:
    """Return ``name`` if Kafka accepts it, also with the suffix of the dead-letter topic."""
    illegal = re.search(r"[^a-zA-Z0-9._-]", name)
    if illegal:
        raise ValueError(
            f"Illegal character {illegal.group()!r} at position {illegal.start() + 1} of the Kafka "
            "topic: letters, digits, . _ and - only"
        )
    if not 1 <= len(name) <= _MAX_WITH_DEAD_LETTERS or name in (".", ".."):
        raise ValueError(
            f"a topic name has 1 to {_MAX_WITH_DEAD_LETTERS} characters, and is not . or .."
        )
    return name


def state_topic_problem(name: str) -> str:
    """Return why the state topic beside ``name`` would have no valid name; empty if it has."""
    if len(name) <= _MAX_WITH_STATE:
        return ""
    return (
        f"kafka.topic has {len(name)} characters: with checkpoint.store = kafka it may have "
        f"{_MAX_WITH_STATE}, because Kafka's limit is {_MAX_CHARACTERS} and the name of the "
        f"state topic is longer by {STATE_SUFFIX}"
    )
