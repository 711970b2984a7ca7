"""Reads the settings file."""

import tomllib
from pathlib import Path
from typing import Any

from bridge.errors import Misconfigured

_NOTHING_DONE = "Nothing was read or sent"


def read_file(path: Path | None) -> dict[str, Any]:
    """Return the sections of the settings file; none without a file.

    Raises:
        Misconfigured: The file cannot be read, or is not TOML.
    """
    if path is None:
        return {}
    try:
        # Some editors on Windows write a byte order mark, which TOML does not allow.
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise Misconfigured(
            f"Cannot read the settings file {path}: {reason}",
            _NOTHING_DONE,
            "Check the path and its permissions",
        ) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Misconfigured(
            f"The settings file {path} is not valid TOML: {error}",
            _NOTHING_DONE,
            "Text values need quotes, and each [section] may occur once",
        ) from None
