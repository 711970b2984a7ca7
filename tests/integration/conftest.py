"""Short reads, so that a stream that is closed is gone soon."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.mongo.change_stream.AWAIT_MS", 250)
