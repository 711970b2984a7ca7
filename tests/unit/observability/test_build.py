"""The commit of the code, in a checkout and in an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.observability import build
from bridge.observability.build import git_commit

DOCKERFILE = Path(__file__).parents[3] / "config" / "docker" / "Dockerfile"


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    git_commit.cache_clear()
    yield
    git_commit.cache_clear()


def test_an_image_knows_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image has no checkout: the Dockerfile passes the commit on."""
    monkeypatch.setattr(build, "_CHECKOUT", tmp_path / ".git")
    monkeypatch.setattr(build, "_commit_of_installation", lambda: None)
    monkeypatch.setenv("JOB_BRIDGE_SOURCE_COMMIT", "0123abc")

    assert git_commit() == "0123abc"
    assert "ENV JOB_BRIDGE_SOURCE_COMMIT=${SOURCE_COMMIT}" in DOCKERFILE.read_text()


def test_an_image_without_the_argument_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_CHECKOUT", tmp_path / ".git")
    monkeypatch.setattr(build, "_commit_of_installation", lambda: None)
    monkeypatch.setenv("JOB_BRIDGE_SOURCE_COMMIT", "")

    assert git_commit() is None
