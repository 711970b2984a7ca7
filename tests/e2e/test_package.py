"""The wheel and the source archive: reproducible, complete, and usable without the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge import __version__
from tests.support.command import ROOT

EPOCH = "1700000000"
FOLDERS = ("bridge", "benchmarks", "config", "docs", "examples", "tests")
FILES = ("setup.cfg", "pyproject.toml", "MANIFEST.in", "Makefile", "ruff.toml", "mkdocs.yml")
BUILD = (
    "import sys; sys.path.insert(0, 'config/release'); import build_backend as backend; "
    "target = sys.argv[1]; backend.build_sdist(target); backend.build_wheel(target)"
)


class Archives(NamedTuple):
    """Two builds of the same sources, each as the bytes of its archives by name."""

    folder: Path
    first: dict[str, bytes]
    second: dict[str, bytes]


def build(sources: Path, target: Path) -> dict[str, bytes]:
    """Build both archives as a builder does, without a virtual environment of its own."""
    target.mkdir()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    run([sys.executable, "-c", BUILD, str(target)], sources, environment)
    return {path.name: path.read_bytes() for path in target.iterdir()}


def run(line: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copied(target: Path) -> Path:
    """Copy the sources, without files that are made."""
    made = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, target / name, symlinks=True, ignore=made)
    for path in [*(ROOT / name for name in FILES), *ROOT.glob("*.md")]:
        shutil.copy(path, target)
    return target


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Build from a copy of the sources, and from the source archive with other permissions."""
    folder = tmp_path_factory.mktemp("package")
    first = build(copied(folder / "sources"), folder / "first")
    with tarfile.open(folder / "first" / f"job_bridge-{__version__}.tar.gz") as archive:
        archive.extractall(folder / "unpacked", filter="data")
    unpacked = folder / "unpacked" / f"job_bridge-{__version__}"
    for path in unpacked.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
            os.utime(path, (1_500_000_000, 1_500_000_000))
    return Archives(folder, first, build(unpacked, folder / "second"))


@pytest.fixture(scope="module")
def installed(archives: Archives) -> Path:
    """A virtual environment with the wheel; its dependencies are those of this one."""
    folder = archives.folder / "environment"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (wheel,) = (name for name in archives.first if name.endswith(".whl"))
    line = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    line += ["--no-deps", "--no-index", str(archives.folder / "first" / wheel)]
    run(line, archives.folder, dict(os.environ))
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "job-bridge"


def output(installed: Path, folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return run([str(installed), *arguments], folder, environment)


def test_two_builds_have_equal_bytes(archives: Archives) -> None:
    assert sorted(archives.first) == [
        f"job_bridge-{__version__}-py3-none-any.whl",
        f"job_bridge-{__version__}.tar.gz",
    ]
    assert archives.first == archives.second


def test_the_source_archive_is_the_repository(archives: Archives) -> None:
    sources, unpacked = archives.folder / "sources", archives.folder / "unpacked"
    here = {str(path.relative_to(sources)) for path in copied_files(sources)}
    root = unpacked / f"job_bridge-{__version__}"

    assert here - {str(path.relative_to(root)) for path in copied_files(root)} == set()


def copied_files(folder: Path) -> list[Path]:
    """The files of the copied folders, without those that a build makes."""
    return [path for name in FOLDERS for path in (folder / name).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ("example", "job-bridge.example.toml"),
        ("example pipeline-jobs", "pipeline-jobs.example.toml"),
        ("rights mongo", "mongodb-role.js"),
        ("rights kafka", "kafka-acls.sh"),
        ("alerts", "prometheus/alerts.yml"),
        ("rules", "prometheus/recording-rules.yml"),
        ("dashboard", "grafana/job-bridge.json"),
        ("systemd", "systemd/job-bridge@.service"),
    ],
)
def test_the_wheel_prints_its_files(
    installed: Path, tmp_path: Path, arguments: str, file: str
) -> None:
    printed = output(installed, tmp_path, "config", *arguments.split())

    assert printed == (ROOT / "config" / file).read_text()


def test_the_wheel_explains_an_exit_code(installed: Path, tmp_path: Path) -> None:
    printed = output(installed, tmp_path, "config", "runbook", "78")

    assert printed.startswith("### Exit code 78\n") and "**Do:**" in printed


def test_the_wheel_validates_its_example(installed: Path, tmp_path: Path) -> None:
    path = tmp_path / "job-bridge.toml"
    path.write_text(output(installed, tmp_path, "config", "example"))

    assert "are valid" in output(
        installed, tmp_path, "config", "validate", "--strict", "--config", str(path)
    )
    assert __version__ in output(installed, tmp_path, "--version")


def test_the_wheel_runs_without_the_repository(installed: Path, tmp_path: Path) -> None:
    program = "import bridge, importlib.util as u; print(bridge.__file__, u.find_spec('tests'))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    printed = run([str(installed.parent / "python"), "-c", program], tmp_path, environment)

    assert printed.startswith(str(installed.parents[1])) and printed.endswith("None\n")
