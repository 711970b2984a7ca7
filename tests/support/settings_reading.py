"""Reads settings from an environment, a file and options of a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Misconfigured
from bridge.settings import Settings, load


def problems(
    path: Path | None = None, environment: dict[str, str] | None = None, **options: Any
) -> str:
    with pytest.raises(Misconfigured) as caught:
        load(
            path,
            {name.replace("__", "."): value for name, value in options.items()},
            environment or {},
        )
    return caught.value.what


def reading(environment: dict[str, str], path: Path | None = None, **options: Any) -> Settings:
    """Load as the command does, which reads the process's own environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return load(
            path, {name.replace("__", "."): value for name, value in options.items()}, environment
        )
