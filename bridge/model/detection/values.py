"""The kinds of values in sampled documents, by MongoDB's names of the types."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

Document = Mapping[str, Any]

#: The share of the sample that has to agree before a field is proposed.
MOST = 0.9
#: A longer text is neither a state nor an id.
MAX_TEXT = 128
_KINDS = {
    "str": "string",
    "datetime": "date",
    "DatetimeMS": "date",
    "int": "int",
    "Int64": "long",
    "float": "double",
    "Decimal128": "decimal",
    "bool": "bool",
    "dict": "object",
    "list": "array",
    "NoneType": "null",
    "ObjectId": "objectId",
    "bytes": "binData",
    "Binary": "binData",
}
_NUMBERS = frozenset({"int", "long", "double"})
_UUID_SUBTYPES, _UUID_BYTES = (3, 4), 16


class Omitted(NamedTuple):
    """A value of which the sample contains the type only."""

    kind: str


class Indexes(NamedTuple):
    """Fields of the collection's indexes.

    Attributes:
        unique: those with a unique index of their own.
        leading: the first field of each index.
    """

    unique: frozenset[str] = frozenset()
    leading: frozenset[str] = frozenset()


class Field:
    """A field of the sampled documents.

    Attributes:
        name: the field's name.
        of: the number of documents.
        kinds: how many documents have a value of each type; null counts as missing.
        values: the value of each document, None where it is missing.
    """

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        self.values = values
        self.of = len(values)
        self.kinds = Counter(kind_of(value) for value in values if value is not None)

    @property
    def seen(self) -> int:
        """The number of documents that have the field."""
        return self.kinds.total()

    @property
    def types(self) -> str:
        """The types, the most frequent first."""
        return ", ".join(kind for kind, _ in self.kinds.most_common(4))

    def mostly(self, *kinds: str) -> bool:
        """Whether most documents have a value of these types."""
        return self.of > 0 and sum(self.kinds[kind] for kind in kinds) >= MOST * self.of

    def not_text(self, owners: str = "jobs") -> str:
        """Return why the values are not usable texts; empty if they are."""
        if self.mostly("string"):
            return ""
        if self.seen < MOST * self.of:
            return f"many {owners} lack it"
        others = ", ".join(kind for kind, _ in self.kinds.most_common(4) if kind != "string")
        return f"it is {others}{f' in some {owners}' * ('string' in self.kinds)}, not string"

    def texts(self) -> list[str]:
        """Return the texts that are short enough for a state or an id."""
        return [value for value in self.values if isinstance(value, str) and is_short(value)]


def kind_of(value: Any) -> str:
    """Return MongoDB's name of the type of a value; ``uuid`` for binary data that is a UUID."""
    if isinstance(value, Omitted):
        return value.kind
    kind = _KINDS.get(type(value).__name__, type(value).__name__)
    if (
        kind == "binData"
        and getattr(value, "subtype", None) in _UUID_SUBTYPES
        and len(value) == _UUID_BYTES
    ):
        return "uuid"
    return kind


def is_short(text: str) -> bool:
    """Whether a text may be a state or an id."""
    return 0 < len(text) <= MAX_TEXT


def fields_of(documents: Sequence[Document]) -> dict[str, Field]:
    """Return the fields of all documents, in the order in which they occur."""
    names = dict.fromkeys(name for document in documents for name in document)
    return {name: Field(name, [document.get(name) for document in documents]) for name in names}


def seconds_of(value: Any) -> float | None:
    """Return a date or a number in Unix seconds; None for other values."""
    if isinstance(value, datetime):
        return (value.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
    return float(value) if kind_of(value) in _NUMBERS and not isinstance(value, Omitted) else None


def share(truths: Iterable[bool]) -> float:
    """Return the share of true values; 0 if there are no values."""
    known = list(truths)
    return sum(known) / len(known) if known else 0.0


def percent(part: float) -> str:
    """Return a share as text; only all of them are 100%."""
    return f"{int(100 * part)}%"
