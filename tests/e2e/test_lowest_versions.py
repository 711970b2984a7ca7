"""The library and the settings with the lowest versions of the packages that hosts pin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.support.command import ROOT

#: pip would have to build the oldest versions for a later Python.
pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="needs wheels for Python 3.11")

PACKAGES = ("click", "prometheus-client", "pydantic", "pydantic-settings", "python-json-logger")
LIBRARY = """
from datetime import datetime, timezone
from prometheus_client import CollectorRegistry, generate_latest
from bridge import Misconfigured, Notifier
try:
    Notifier(topic="a:b")
except Misconfigured as error:
    print(error)
with Notifier("127.0.0.1:1", mode="fire-and-forget", timeout_seconds=0.1) as notifier:
    notifier.notify("job-1", "created", datetime.now(timezone.utc))
    registry = CollectorRegistry()
    registry.register(notifier.collector())
print(generate_latest(registry).decode())
"""


def lowest() -> dict[str, str]:
    text = (ROOT / "setup.cfg").read_text()
    found = dict(re.findall(r"^    ([\w-]+)>=([\d.]+),", text, re.M))
    return {name: found[name] for name in PACKAGES}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the lowest versions; all other packages are those of this one."""
    folder = tmp_path_factory.mktemp("lowest") / "environment"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    wanted = [f"{name}=={version}" for name, version in lowest().items()]
    line = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *wanted]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0 and "CI" not in os.environ:
        pytest.skip(f"the package index does not answer: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(python), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_these_versions_are_installed(python: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    program = (
        "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    )

    installed = run(python, "-c", program, *PACKAGES).split()

    assert all(
        f"{has}.0".startswith(f"{wants}.")
        for has, wants in zip(installed, lowest().values(), strict=True)
    ), installed


def test_the_library_works_with_lowest_versions(python: Path) -> None:
    printed = run(python, "-c", LIBRARY)

    assert "Illegal character ':'" in printed
    assert "job_bridge_notifier_messages_lost_total{" in printed


@pytest.mark.parametrize("command", ["validate", "show", "example"])
def test_the_command_works_with_lowest_versions(python: Path, command: str) -> None:
    assert run(python, "-m", "bridge", "config", command)
