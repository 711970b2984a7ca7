"""A checkpoint file, and its owner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.checkpoint.file import FileCheckpointStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge.json"


@pytest.fixture
def store(path: Path) -> Iterator[FileCheckpointStore]:
    store = FileCheckpointStore(path, "bridge")
    store.acquire()
    yield store
    store.release()
