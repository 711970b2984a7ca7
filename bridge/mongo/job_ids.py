"""Job ids from ``_id``: a canonical text for values of a few types, and its inverse.

Text, UUIDs, ObjectIds, integers, decimals and dates have a text. Two values of different types may
share it, as "5" and 5 do; MongoDB already considers equal numbers of any type the same ``_id``.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import DecimalException
from typing import Any
from uuid import UUID

from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE, Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from bridge.mongo.raw_text import escaped, is_utf8

_UUID_BYTES = 16
_UUID_SUBTYPES = (UUID_SUBTYPE, OLD_UUID_SUBTYPE)
_USABLE = "text, a UUID, an ObjectId, an integer, a decimal or a date"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?(E[+-][0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?\+00:00")
#: A decimal has at most 34 digits, beside sign, point and exponent.
_MAX_DECIMAL_LENGTH = 50


@dataclass(frozen=True, slots=True)
class MissingJobId:
    """Replaces a job id that cannot be found or sent, with the reason."""

    reason: str

    def __str__(self) -> str:
        return ""


DELETED = MissingJobId("the job was deleted before its id could be looked up")


def text_of(document_id: Any) -> str | MissingJobId:
    """Return the job id of a document whose ``_id`` is the job id.

    The text of a UUID of the legacy subtype 3 is that of its bytes in the stored order. Old Java
    and C# drivers stored them in another order, which the value does not show.
    """
    kind = type(document_id)
    if kind is str:
        return _checked(document_id)
    if kind is ObjectId or kind is int or kind is Int64:
        return str(document_id)
    if isinstance(document_id, Binary):
        return _text_of_binary(document_id)
    if kind is Decimal128:
        return _text_of_decimal(document_id)
    if kind is datetime:
        return _text_of_date(document_id)
    if document_id is None:
        return MissingJobId("the job id is missing")
    if isinstance(document_id, DatetimeMS):
        return MissingJobId("the job id is a date outside the years 1 to 9999")
    return MissingJobId(f"the job id is {kind.__name__}, not {_USABLE}")


def document_ids(job_id: str) -> list[Any]:
    """Return all values of ``_id`` with this text, each of another type; the text itself first.

    The list is empty if no ``_id`` has this text.
    """
    return [value for value in _candidates(job_id) if text_of(value) == job_id]


def find_by_document_id(job_ids: Sequence[str]) -> dict[str, Any]:
    """Return the query for the documents whose ``_id`` has one of these texts."""
    return {"_id": {"$in": [value for job_id in job_ids for value in document_ids(job_id)]}}


def _checked(text: str) -> str | MissingJobId:
    if not text:
        return MissingJobId("the job id is empty")
    if not is_utf8(text):
        return MissingJobId(f"the job id is not UTF-8: {escaped(text)[:100]}")
    return text


def _text_of_binary(value: Binary) -> str | MissingJobId:
    if value.subtype in _UUID_SUBTYPES and len(value) == _UUID_BYTES:
        return str(UUID(bytes=bytes(value)))
    return MissingJobId(
        f"the job id is binary of subtype {value.subtype} with {len(value)} bytes, not {_USABLE}"
    )


def _text_of_decimal(value: Decimal128) -> str | MissingJobId:
    text = str(value)
    if _DECIMAL.fullmatch(text) and Decimal128(text) == value:
        return text
    return MissingJobId(f"the job id is the decimal {text}, which has no canonical text")


def _text_of_date(value: datetime) -> str:
    """Return the form in which messages contain times."""
    if value.tzinfo is not None:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    return f"{value.isoformat()}+00:00"


def _candidates(text: str) -> Iterator[Any]:
    yield text
    if _UUID.fullmatch(text):
        yield from (Binary(UUID(text).bytes, subtype) for subtype in _UUID_SUBTYPES)
    if _OBJECT_ID.fullmatch(text):
        yield ObjectId(text)
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        yield Int64(text)
    if _DECIMAL.fullmatch(text) and len(text) <= _MAX_DECIMAL_LENGTH:
        with suppress(DecimalException):
            yield Decimal128(text)
    if _DATE.fullmatch(text):
        with suppress(ValueError):
            date = datetime.fromisoformat(text).replace(tzinfo=None)
            if not date.microsecond % 1000:  # MongoDB stores milliseconds
                yield date
