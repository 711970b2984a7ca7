"""A bridge on fakes."""

from __future__ import annotations

import pytest

from tests.support.bridge_on_fakes import BridgeOnFakes


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> BridgeOnFakes:
    world = BridgeOnFakes(monkeypatch)
    world.store_checkpoint()
    return world
