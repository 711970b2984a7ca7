"""The version of this tree, of the last release, and of the changelog."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from bridge import __version__
from tests.soak.drill import LAST_RELEASE
from tests.support.command import ROOT

#: A version that is not released ends with it.
DEVELOPED = ".dev0"


def changelog() -> tuple[str, list[str]]:
    """The entries of what is not released, and the released versions, the newest first."""
    text = (ROOT / "CHANGELOG.md").read_text()
    unreleased, *released = re.split(r"^## \[", text, flags=re.M)[1:]
    return unreleased.partition("\n")[2], [part.partition("]")[0] for part in released]


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout


def test_a_released_version_has_no_new_entries() -> None:
    """Otherwise a release and what follows it could not be told apart."""
    entries, released = changelog()

    if __version__.endswith(DEVELOPED):
        assert __version__.removesuffix(DEVELOPED) not in released
    else:
        assert (entries.strip(), released[0]) == ("", __version__)


def test_the_manifests_name_the_version() -> None:
    kustomization = yaml.safe_load((ROOT / "config/k8s/kustomization.yaml").read_text())

    assert [image["newTag"] for image in kustomization["images"]] == [__version__]


@pytest.mark.skipif(
    git("rev-parse", "--is-shallow-repository").strip() != "false", reason="no complete clone"
)
def test_the_drill_knows_the_last_release() -> None:
    _, released = changelog()
    last = released[0] if __version__.endswith(DEVELOPED) else released[1]

    assert f'__version__ = "{last}"' in git("show", f"{LAST_RELEASE}:bridge/__init__.py")


def test_an_unknown_version_is_one_line() -> None:
    command = [sys.executable, "-m", "tests.soak.drill", "--ref", "v9.9.9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: this clone has no commit 'v9.9.9'")
    assert done.stderr.count("\n") == 1
