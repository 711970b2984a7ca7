"""The versions of PyMongo that the bridge accepts, and those that the package installs with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.errors import Misconfigured
from bridge.mongo.client import ReplaceableClient
from tests.support.factories import settings


@pytest.mark.parametrize("version", [(4, 8, 0), (4, 19, 3), (4, 21, 0), (5, 0, 0)], ids=str)
def test_other_versions_are_refused(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    monkeypatch.setattr("bridge.mongo.client.version_tuple", version)

    with pytest.raises(Misconfigured, match=r"the bridge supports pymongo>=4\.20,<4\.21"):
        ReplaceableClient(settings())


def test_pip_prefers_a_supported_version() -> None:
    setup = (Path(__file__).parents[3] / "setup.cfg").read_text()

    assert re.findall(r"^    pymongo(.*)$", setup, re.M) == [">=4.8,<4.21"]
