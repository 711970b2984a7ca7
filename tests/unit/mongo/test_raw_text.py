"""Texts that are not UTF-8: encoded as they were, and escaped for people."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Binary, Code, DBRef, ObjectId, Regex
from hypothesis import given
from hypothesis import strategies as st

from bridge.mongo.decoder import OPTIONS
from bridge.mongo.raw_text import encode, escaped, is_utf8, query

ODD = st.binary().map(lambda text: text.decode("utf-8", "surrogateescape"))
NAMES = ODD.filter(lambda name: "\0" not in name)
LEAVES = st.one_of(ODD, st.integers(-(2**63), 2**63 - 1), st.none(), st.booleans(), st.floats())
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=8
)


@given(st.dictionaries(NAMES, VALUES))
def test_documents_are_encoded_as_they_were(document: dict[str, Any]) -> None:
    decoded = bson.decode(encode(document), OPTIONS)

    assert repr(decoded) == repr(document)
    assert query(document).raw == encode(document)


@pytest.mark.parametrize(
    "value", [Code("a\udcff"), Regex("a\udcff"), DBRef("a\udcff", 1), Code("x", {"a": "\udcff"})]
)
def test_no_value_stops_a_query(value: Any) -> None:
    assert bson.decode(encode({"_id": value, "b": 1}), OPTIONS)["b"] == 1


def test_other_values_are_left_alone() -> None:
    document = {"a": "\udcff", "id": ObjectId(), "uuid": Binary(b"0" * 16, 4), "code": Code("x")}

    assert bson.decode(encode(document), OPTIONS) == document


def test_odd_bytes_are_escaped() -> None:
    texts = [b"a\xff".decode("utf-8", "surrogateescape"), "a\ufffd", "ü", 7]

    assert [is_utf8(text) for text in texts] == [False, True, True, True]
    assert not is_utf8("ü", texts[0])
    assert [escaped(str(text)) for text in texts] == ["a\\xff", "a\ufffd", "ü", "7"]
