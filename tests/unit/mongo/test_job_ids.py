"""The text of an ``_id`` as a job id, and its inverse."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from hypothesis import given
from hypothesis import strategies as st

from bridge.mongo.decoder import OPTIONS
from bridge.mongo.job_ids import MissingJobId, document_ids, text_of

UUID_TEXT = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
STANDARD, LEGACY = (Binary(UUID(UUID_TEXT).bytes, subtype) for subtype in (4, 3))
OBJECT_ID = ObjectId("65e5f0a1b2c3d4e5f6a7b8c9")
DATE = datetime(2026, 3, 2, 20, 31, 2, 511000)


def decimal(number: Any) -> Decimal128:
    return Decimal128(str(number))


DECIMALS = st.builds(
    lambda digits, exponent: Decimal128(f"{digits}E{exponent}"),
    st.integers(-(10**34) + 1, 10**34 - 1),
    st.integers(-6176, 6111),
)
DATES = st.datetimes().map(lambda date: date - timedelta(microseconds=date.microsecond % 1000))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
OBJECT_IDS = st.binary(min_size=12, max_size=12).map(ObjectId)
UUIDS = st.builds(Binary, st.binary(min_size=16, max_size=16), st.sampled_from([3, 4]))
USABLE = st.one_of(DECIMALS, DATES, INTEGERS, TEXTS, OBJECT_IDS, UUIDS)


def stored(value: Any) -> Any:
    """The value as the bridge reads it from MongoDB."""
    return bson.decode(bson.encode({"_id": value}), OPTIONS)["_id"]


@pytest.mark.parametrize(
    ("document_id", "text"),
    [
        ("job-1", "job-1"),
        (STANDARD, UUID_TEXT),
        (LEGACY, UUID_TEXT),
        (OBJECT_ID, "65e5f0a1b2c3d4e5f6a7b8c9"),
        (7, "7"),
        (Int64(-(2**63)), "-9223372036854775808"),
        (Decimal128("1.50"), "1.50"),
        (Decimal128("1E+3"), "1E+3"),
        (DATE, "2026-03-02T20:31:02.511000+00:00"),
        (datetime(1, 1, 1), "0001-01-01T00:00:00+00:00"),
        ("übung \U0001f600", "übung \U0001f600"),
    ],
)
def test_each_usable_type_has_a_text(document_id: Any, text: str) -> None:
    assert text_of(stored(document_id)) == text


@pytest.mark.parametrize(
    ("document_id", "words"),
    [
        (None, "is missing"),
        ("", "is empty"),
        ({"site": 1}, "is dict, not text"),
        (True, "is bool, not text"),
        (7.0, "is float, not text"),
        (b"plain bytes", "is bytes, not text"),
        (Binary(b"0" * 16, 128), "binary of subtype 128 with 16 bytes"),
        (Binary(b"short", 4), "binary of subtype 4 with 5 bytes"),
        (Decimal128("NaN"), "is the decimal NaN"),
        (Decimal128("-Infinity"), "is the decimal -Infinity"),
        (Decimal128.from_bid(b"\xff" * 14 + b"\x41\x30"), "is the decimal"),
        (DatetimeMS(2**62), "outside the years 1 to 9999"),
        (Regex("a"), "is Regex"),
        (Code("a"), "is Code"),
        (Timestamp(1, 1), "is Timestamp"),
        (MinKey(), "is MinKey"),
        (MaxKey(), "is MaxKey"),
    ],
)
def test_other_values_have_a_reason(document_id: Any, words: str) -> None:
    missing = text_of(stored(document_id))

    assert isinstance(missing, MissingJobId) and words in missing.reason


@given(USABLE)
def test_the_inverse_contains_the_value(document_id: Any) -> None:
    text = text_of(stored(document_id))

    assert isinstance(text, str)
    assert stored(document_id) in document_ids(text)


@given(st.one_of(USABLE.map(lambda value: str(text_of(value))), st.text()))
def test_the_inverse_contains_nothing_else(text: str) -> None:
    values = document_ids(text)

    assert [text_of(stored(value)) for value in values] == [text] * len(values)
    assert len({(type(value), getattr(value, "subtype", 0)) for value in values}) == len(values)


@given(st.lists(USABLE.map(stored), min_size=2, max_size=2))
def test_values_of_the_same_type_do_not_collide(values: list[Any]) -> None:
    """Except the two subtypes of a UUID."""
    first, second = values
    if type(first) is type(second) and text_of(first) == text_of(second):
        assert first == second or (
            bytes(first) == bytes(second) and first.subtype != second.subtype
        )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5", ["5", 5, Decimal128("5")]),
        ("-0", ["-0", Decimal128("-0")]),
        ("007", ["007"]),
        ("9223372036854775808", ["9223372036854775808", Decimal128("9223372036854775808")]),
        (UUID_TEXT, [UUID_TEXT, STANDARD, LEGACY]),
        (UUID_TEXT.upper(), [UUID_TEXT.upper()]),
        (str(OBJECT_ID), [str(OBJECT_ID), OBJECT_ID]),
        (f"{DATE.isoformat()}+00:00", [f"{DATE.isoformat()}+00:00", DATE]),
        ("2026-02-30T00:00:00+00:00", ["2026-02-30T00:00:00+00:00"]),
        ("2026-03-02T20:31:02.511001+00:00", ["2026-03-02T20:31:02.511001+00:00"]),
        ("1E+999999999", ["1E+999999999"]),
        ("9" * 5000, ["9" * 5000]),
        ("", []),
        ("a\udcff", []),
    ],
)
def test_shared_texts_mean_all_their_values(text: str, values: list[Any]) -> None:
    assert document_ids(text) == values
