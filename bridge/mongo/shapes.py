"""Documents reduced by the server to their shape, so that large ones cost little to sample.

A shape contains the names and types of the fields at the top level, of those inside objects, and
of those inside the last elements of arrays. Short values come with it, except inside objects, which
may be the inputs of a job.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.model.detection.values import MAX_TEXT, Omitted

#: Bounds that keep a shape below MongoDB's limit of 16 MB for a document.
_MAX_FIELDS, _MAX_INNER_FIELDS = 150, 30
_MAX_ELEMENTS = 8
_MAX_NAME_BYTES = 128
_MAX_BINARY_BYTES = 64
_SCALARS = ["int", "long", "double", "decimal", "bool", "date", "objectId"]

#: The keys of a shape: name, type, value, fields and elements.
_NAME, _TYPE, _VALUE, _FIELDS, _ELEMENTS = "k", "t", "v", "f", "e"

Expression = Mapping[str, Any]


def shape_stage() -> Expression:
    """Return the stage of a pipeline that replaces each document by its shape."""
    fields = {"input": _pairs("$$ROOT", _MAX_FIELDS), "as": "field", "in": _top("$$field.v")}
    return {"$project": {"_id": 0, _FIELDS: {"$map": fields}}}


def document_of(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a shape; :class:`Omitted` replaces each value that it lacks."""
    return _document(shape[_FIELDS])


def _pairs(document: str, limit: int) -> Expression:
    """Return the expression for the first fields of a document; very long names are left out."""
    short = {"$lte": [{"$strLenBytes": "$$this.k"}, _MAX_NAME_BYTES]}
    first = {"$slice": [{"$objectToArray": document}, limit]}
    return {"$filter": {"input": first, "cond": short}}


def _top(value: str) -> Expression:
    """Return the expression for a field at the top level."""
    inner = {
        "input": _pairs(value, _MAX_INNER_FIELDS),
        "as": "inner",
        "in": {_NAME: "$$inner.k", _TYPE: {"$type": "$$inner.v"}},
    }
    elements = {
        "input": {"$slice": [value, -_MAX_ELEMENTS]},
        "as": "element",
        "in": _element("$$element"),
    }
    return {
        _NAME: "$$field.k",
        _TYPE: {"$type": value},
        _VALUE: _short(value),
        _FIELDS: _if(value, "object", {"$map": inner}),
        _ELEMENTS: _if(value, "array", {"$map": elements}),
    }


def _element(element: str) -> Expression:
    """Return the expression for an element of an array at the top level."""
    fields = {
        "input": _pairs(element, _MAX_INNER_FIELDS),
        "as": "inner",
        "in": {
            _NAME: "$$inner.k",
            _TYPE: {"$type": "$$inner.v"},
            _VALUE: _short("$$inner.v"),
        },
    }
    return {
        _TYPE: {"$type": element},
        _VALUE: _short(element),
        _FIELDS: _if(element, "object", {"$map": fields}),
    }


def _short(value: str) -> Expression:
    """Return the expression for a value that is not long; others are left out."""
    return {
        "$switch": {
            "branches": [
                {"case": {"$in": [{"$type": value}, _SCALARS]}, "then": value},
                _bounded(value, "string", "$strLenBytes", MAX_TEXT),
                _bounded(value, "binData", "$binarySize", _MAX_BINARY_BYTES),
            ],
            "default": "$$REMOVE",
        }
    }


def _bounded(value: str, kind: str, size: str, limit: int) -> Expression:
    short = {"$cond": [{"$lte": [{size: value}, limit]}, value, "$$REMOVE"]}
    return {"case": {"$eq": [{"$type": value}, kind]}, "then": short}


def _if(value: str, kind: str, expression: Expression) -> Expression:
    return {"$cond": [{"$eq": [{"$type": value}, kind]}, expression, "$$REMOVE"]}


def _document(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {field[_NAME]: _value(field) for field in fields}


def _value(shape: Mapping[str, Any]) -> Any:
    if _VALUE in shape:
        return shape[_VALUE]
    if _FIELDS in shape:
        return _document(shape[_FIELDS])
    if _ELEMENTS in shape:
        return [_value(element) for element in shape[_ELEMENTS]]
    return None if shape[_TYPE] in ("null", "undefined") else Omitted(shape[_TYPE])
