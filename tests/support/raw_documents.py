"""Documents that no driver writes: names that are not UTF-8."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

#: Names in order, each with its value; a list of pairs is a document.
Pairs = Sequence[tuple[bytes, Any]]


def raw_document(pairs: Pairs) -> bytes:
    """Return the BSON of a document whose names are any bytes but zero."""
    body = b"".join(_field(name, value) for name, value in pairs)
    return struct.pack("<i", len(body) + 5) + body + b"\x00"


def raw_update(operator: bytes, pairs: Pairs) -> RawBSONDocument:
    """Return an update with one operator."""
    return RawBSONDocument(raw_document([(operator, list(pairs))]))


def _field(name: bytes, value: Any) -> bytes:
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return b"\x03" + name + b"\x00" + raw_document(value)
    # A document has a length of 4 bytes, then the type, the (empty) name and the value.
    encoded = bson.encode({"": value})[4:-1]
    return encoded[:1] + name + b"\x00" + encoded[2:]
