"""Checks the arguments of the notifier before anything is sent.

Each error names the argument: ``TypeError`` for a wrong type, ``ValueError`` for a wrong value,
``Misconfigured`` for a wrong setting.
"""

import math
import re
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bridge.errors import Misconfigured
from bridge.kafka.drivers import KafkaDriver, driver_of
from bridge.model.transition import Transition, made_trans_id
from bridge.settings import Settings, load
from bridge.settings.load import setting_names

#: Threads cannot wait much longer.
_MAX_SECONDS = threading.TIMEOUT_MAX / 2


def transition_of(job_id: str, state: str, time: datetime, trans_id: str) -> Transition:
    """Return the transition to send.

    Its time is in UTC and has milliseconds; an empty ``trans_id`` is replaced by a generated one.
    """
    for name, text in (("job_id", job_id), ("state", state)):
        if not text_of(name, text):
            raise ValueError(f"{name} is empty")
    if not isinstance(time, datetime):
        raise TypeError(f"time is {time!r:.100}, not a datetime")
    if time.utcoffset() is None:
        raise ValueError(f"time {time.isoformat()} has no zone")
    try:
        utc = time.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(f"time {time.isoformat()} is out of range in UTC") from None
    text = utc.replace(microsecond=utc.microsecond // 1000 * 1000).isoformat()
    return Transition(
        job_id, state, text, text_of("trans_id", trans_id) or made_trans_id(job_id, text, state)
    )


def text_of(name: str, value: Any) -> str:
    """Return a text argument; messages contain UTF-8 only."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r:.100}, not a str")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value!a:.100}, which UTF-8 cannot encode") from None
    return value


def seconds_of(value: Any) -> float:
    """Return ``timeout_seconds``, limited to the longest wait of a thread."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"timeout_seconds is {value!r:.100}, not a number of seconds")
    if not 0 < value < math.inf:  # false for nan too
        raise ValueError(f"timeout_seconds is {value!r}, not a finite number of seconds above 0")
    return min(value, _MAX_SECONDS)


def count_of(value: Any) -> int:
    """Return ``window_messages``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"window_messages is {value!r:.100}, not an int")
    if value < 1:
        raise ValueError(f"window_messages is {value}, not 1 or more")
    return value


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return settings with these values in the section ``kafka``; errors name the keyword."""
    known = _keywords()
    for name in given:
        if name not in known:
            raise TypeError(
                f"Notifier has no argument {name!r}; "
                f"those of the section kafka are {', '.join(known)}"
            )
    options = {f"kafka.{name}": value for name, value in given.items()}
    try:
        return load(None, options, {}, used=("kafka.",))
    except Misconfigured as error:
        raise Misconfigured(
            in_keywords(error.what), "Nothing was sent", "Correct the arguments of Notifier"
        ) from None


def in_keywords(text: str) -> str:
    """Return ``text`` with settings of the section ``kafka`` named as keywords of ``Notifier``."""
    known = _keywords()

    def keyword(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        return name if name in known else match[0]

    return re.sub(r"(?:--kafka-|\bkafka\.)([a-z_-]+)", keyword, text)


def _keywords() -> list[str]:
    return [name.removeprefix("kafka.") for name in setting_names() if name.startswith("kafka.")]


def driver_for_host(settings: Settings) -> KafkaDriver:
    """Return the driver; an error advises nothing that conflicts with pins of the host."""
    try:
        return driver_of(settings)
    except Misconfigured as error:
        todo = (
            "pip install 'job-bridge[librdkafka]', which works beside any version of kafka-python, "
            "and leave driver at its default"
        )
        if settings.kafka.uses_kerberos or settings.kafka.librdkafka_options():
            # The error is about them, and knows what to do.
            todo = in_keywords(error.todo)
        raise Misconfigured(in_keywords(error.what), "Nothing was sent", todo) from None
