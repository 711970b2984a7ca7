"""Text that is not UTF-8: MongoDB stores any bytes as text, and other drivers may write them.

Such bytes are decoded as lone surrogates (PEP 383, ``surrogateescape``), which valid UTF-8 never
contains, so different texts stay different. They must not reach a message.
"""

from collections.abc import Mapping
from struct import pack
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

#: The error handler that decodes bytes which are not UTF-8; see PEP 383.
HANDLER = "surrogateescape"
_RAW = CodecOptions(document_class=RawBSONDocument, unicode_decode_error_handler=HANDLER)
_TEXT, _DOCUMENT, _ARRAY = b"\x02", b"\x03", b"\x04"


def is_utf8(*values: object) -> bool:
    """Whether all texts among the values are valid UTF-8; other values do not count."""
    try:
        for value in values:
            if isinstance(value, str) and not value.isascii():
                value.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(text: str) -> str:
    r"""Return the text with each byte that is not UTF-8 as ``\xff``."""
    return (
        text.encode("utf-8", HANDLER).decode("utf-8", "backslashreplace")
        if not is_utf8(text)
        else text
    )


def text_of_id(document_id: Any) -> str:
    """Return the ``_id`` of a document for reasons and log lines, at most 100 characters."""
    return escaped(str(document_id))[:100]


def query(document: Mapping[str, Any]) -> RawBSONDocument:
    """Return a query that PyMongo sends as it is; its own encoder raises for such text."""
    return RawBSONDocument(encode(document), _RAW)


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the BSON of a document, with the bytes that its texts were decoded from."""
    try:
        return bson.encode(document)
    except UnicodeEncodeError:
        body = b"".join(_element(name, value) for name, value in document.items())
        return pack("<i", len(body) + 5) + body + b"\0"


def _element(name: str, value: Any) -> bytes:
    """Return an element of a document, as https://bsonspec.org defines it."""
    key = name.encode("utf-8", HANDLER) + b"\0"
    if type(value) is str:
        text = value.encode("utf-8", HANDLER) + b"\0"
        return _TEXT + key + pack("<i", len(text)) + text
    if isinstance(value, Mapping):
        return _DOCUMENT + key + encode(value)
    if isinstance(value, list):
        return _ARRAY + key + encode({str(n): item for n, item in enumerate(value)})
    try:
        alone = bson.encode({"": value})
    except UnicodeEncodeError:
        # Code or a regular expression: the query finds nothing, and the job gets a dead letter.
        return _element(name, ascii(value))
    return alone[4:5] + key + alone[6:-1]
