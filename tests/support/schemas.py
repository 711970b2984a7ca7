"""Checks records against the published schemas."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from docs.references import FOLDER

HEADER_SCHEMA = "headers"


def schema(name: str) -> dict[str, Any]:
    """The published schema ``message``, ``headers`` or ``dead-letter``."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return document


def problems(name: str, document: Any) -> list[str]:
    """Why a document does not match a schema."""
    validator = Draft202012Validator(schema(name))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def record_problems(name: str, record: Any) -> list[str]:
    """Why value or headers of a message or dead letter do not match their schemas."""
    headers = {key: value.decode() for key, value in record.headers}
    wrong = problems(name, json.loads(record.value))
    # Without CloudEvents headers a record has no headers.
    return wrong + (problems(HEADER_SCHEMA, headers) if headers else [])
