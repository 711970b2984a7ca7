"""Prometheus and promtool, from Debian's package."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.servers.cache import FetchError, cached


def program(name: str) -> Path:
    """Return ``prometheus`` or ``promtool``: of the path, else fetched once with apt.

    Skips the test, with a reason, where neither is possible; fails where ``CI`` is set.
    """
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    try:
        return cached("prometheus", _fetch) / name
    except FetchError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def _fetch(folder: Path) -> None:
    """Download and unpack the package; nothing is installed.

    apt checks the package against the checksum in Debian's signed index. The index is read into a
    folder of its own, because that of the system may be missing or old.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise FetchError("Prometheus is not on the path, and can only be fetched on Debian")
    state = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True)
    options = [f"Dir::State::lists={state}/lists", f"Dir::Cache={state}/cache"]
    options += ["APT::Sandbox::User=", "Acquire::Languages=none"]
    apt = ["apt-get", "--quiet=2", *(word for option in options for word in ("-o", option))]
    _run([*apt, "update"], state)
    _run([*apt, "download", "prometheus"], state)
    (package,) = state.glob("prometheus_*.deb")
    _run(["dpkg-deb", "--extract", str(package), "unpacked"], state)
    for name in ("prometheus", "promtool"):
        (state / "unpacked/usr/bin" / name).rename(folder / name)
    shutil.rmtree(state)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise FetchError(f"Prometheus cannot be fetched: {reason}")
