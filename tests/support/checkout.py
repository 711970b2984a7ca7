"""Former versions of the product."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.support.command import ROOT


@contextmanager
def checked_out(ref: str) -> Iterator[Path]:
    """A Git worktree of a commit, removed at the end; fails in one line if ``ref`` is unknown."""
    if not _exists(ref):
        raise click.ClickException(
            f"this clone has no commit {ref!r}, so nothing was run; 'git log --oneline' lists the "
            "commits, and 'git fetch --tags' fetches the tags"
        )
    with tempfile.TemporaryDirectory(prefix="job-bridge-ref-") as name:
        path = Path(name) / "checkout"
        _git("worktree", "add", "--detach", "--quiet", str(path), ref)
        try:
            yield path
        finally:
            _git("worktree", "remove", "--force", str(path))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True)


def _exists(ref: str) -> bool:
    command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0
