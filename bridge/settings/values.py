"""The kinds of values that settings have, each checked with an error that says what is allowed.

Names, hosts and topics are not repeated in the errors: they may be secrets in the wrong place.
"""

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from bridge.settings.mongo_uri import is_connection_string
from bridge.settings.times import parse_duration, parse_time
from bridge.settings.topic_names import checked_topic

_YEAR = 366 * 24 * 3600


def _connection_string(uri: SecretStr) -> SecretStr:
    if not is_connection_string(uri.get_secret_value()):
        raise ValueError(
            "not a MongoDB connection string, which starts with mongodb:// or mongodb+srv://"
        )
    return uri


def _servers(text: str) -> str:
    for number, server in enumerate(text.split(","), 1):
        _, _, port = server.strip().rpartition(":")
        if (
            not re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}", server.strip())
            or int(port) > 65535
        ):
            raise ValueError(
                f"server {number} of the list is not HOST:PORT; several are separated by commas"
            )
    return text


def _token_url(text: str) -> str:
    try:
        usable = not text or _is_url(text)
    except ValueError:  # its text contains a part of the value, which may be a secret
        usable = False
    if not usable:
        raise ValueError("it is not a URL of the form https://HOST/PATH")
    return text


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    is_plain = re.fullmatch("[!-~]+", text) is not None and not parts.fragment
    # An impossible port raises ValueError.
    return (
        is_plain and parts.scheme in ("http", "https") and bool(parts.hostname and parts.port != 0)
    )


def _field_name(name: str | None) -> str | None:
    if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(
            f"{name!r} is not a plain field name: letters, digits and _ only, at the top level"
        )
    return name


def _tag_name(name: str) -> str:
    return _field_name(name) or ""


def _start(text: str) -> str:
    if text not in ("now", "history") and not 1970 < parse_time(text).year < 2106:
        raise ValueError(
            f"{text} is not a possible time in MongoDB's oplog, which has times from 1970 to 2106"
        )
    return text


def _jobs_database(name: str) -> str:
    if name in ("admin", "local", "config"):
        raise ValueError(
            f"{name!r} is one of MongoDB's own databases, which have no change streams"
        )
    return _database(name)


def _database(name: str) -> str:
    if not name or len(name.encode()) > 63 or set(name) & set('/\\. "$\0'):
        raise ValueError(
            "not a valid name of a MongoDB database: "
            '1 to 63 bytes, without any of /\\. "$ and spaces'
        )
    return name


def _collection(name: str) -> str:
    if name and (
        name.startswith((".", "system."))
        or name.endswith(".")
        or ".." in name
        or set(name) & set("$\0")
    ):
        raise ValueError(
            "not a valid name of a jobs collection: it may not contain $ or "
            "two dots in a row, start or end with a dot, or start with system."
        )
    return name


def _every(text: str) -> str:
    every = parse_duration(text) if text != "never" else timedelta(days=1)
    if not timedelta(seconds=1) <= every <= timedelta(seconds=_YEAR):
        raise ValueError(f"it must be 'never' or a duration from 1s to 366d, not {text}")
    return text


ConnectionString = Annotated[SecretStr, AfterValidator(_connection_string)]
Topic = Annotated[str, AfterValidator(checked_topic)]
Servers = Annotated[str, AfterValidator(_servers)]
TokenUrl = Annotated[str, AfterValidator(_token_url)]
FieldName = Annotated[str | None, AfterValidator(_field_name)]
TagName = Annotated[str, AfterValidator(_tag_name)]
StartFrom = Annotated[str, AfterValidator(_start)]
JobsDatabase = Annotated[str, AfterValidator(_jobs_database)]
Database = Annotated[str, AfterValidator(_database)]
Collection = Annotated[str, AfterValidator(_collection)]
Every = Annotated[str, AfterValidator(_every)]
#: A wait in seconds. It is bounded, because timers and dates are.
Wait = Annotated[float, Field(ge=0, le=_YEAR, allow_inf_nan=False)]
#: An age in seconds, bounded for the same reason.
Age = Annotated[float, Field(ge=0, le=10 * _YEAR, allow_inf_nan=False)]
Interval = Annotated[Wait, Field(gt=0)]
