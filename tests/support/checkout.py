"""Former versions of the product."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import ROOT


@contextmanager
def checked_out(ref: str) -> Iterator[Path]:
    """A Git worktree of a commit, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="job-bridge-ref-") as name:
        path = Path(name) / "checkout"
        _git("worktree", "add", "--detach", "--quiet", str(path), ref)
        try:
            yield path
        finally:
            _git("worktree", "remove", "--force", str(path))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True)
