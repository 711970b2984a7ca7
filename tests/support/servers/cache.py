"""Folders of fetched programs in ``.cache``."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

CACHE = Path(__file__).parents[3] / ".cache"


class FetchError(RuntimeError):
    """A server's program cannot be fetched."""


def unavailable(reason: str) -> NoReturn:
    """Skip the test with a reason; fail where ``CI`` is set."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def cached(name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder ``name``; filled by ``fetch`` once, by one process at a time."""
    CACHE.mkdir(exist_ok=True)
    folder = CACHE / name
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            incomplete = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=CACHE))
            try:
                fetch(incomplete)
                incomplete.rename(folder)
            finally:
                shutil.rmtree(incomplete, ignore_errors=True)
    return folder
