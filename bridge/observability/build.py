"""The commit of this code, where it is known."""

import json
import os
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2] / ".git"


@cache
def git_commit() -> str | None:
    """Return the commit of a checkout, of an installation from a repository, or of an image."""
    image = os.environ.get("JOB_BRIDGE_SOURCE_COMMIT")  # config/docker/Dockerfile sets it.
    return _commit_of_checkout(_CHECKOUT) or _commit_of_installation() or image or None


def _commit_of_checkout(git: Path) -> str | None:
    """Read the commit as Git stores it: a hash, or the name of a branch with the hash."""
    try:
        if git.is_file():  # A worktree names its folder.
            git = Path(git.read_text().removeprefix("gitdir:").strip())
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return head
        branch = head.removeprefix("ref:").strip()
        common = git / "commondir"
        folder = (git / common.read_text().strip()).resolve() if common.exists() else git
        if (folder / branch).exists():
            return (folder / branch).read_text().strip()
        packed = (folder / "packed-refs").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {branch}")), None)


def _commit_of_installation() -> str | None:
    """Read the origin that the installer recorded (PEP 610)."""
    try:
        recorded = distribution("job-bridge").read_text("direct_url.json")
        commit = json.loads(recorded or "{}").get("vcs_info", {}).get("commit_id")
    except (PackageNotFoundError, ValueError):
        return None
    return str(commit) if commit else None
