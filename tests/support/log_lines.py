"""Parses the JSON log of the bridge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LogLine = Mapping[str, Any]


def parse_log(text: str) -> list[LogLine]:
    """The log lines of ``text``; a line that is not JSON becomes one without a level."""
    return [parse_line(line) for line in text.rpartition("\n")[0].splitlines()]


def parse_line(line: str) -> LogLine:
    try:
        parsed = json.loads(line)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) and "message" in parsed else {"message": line}
