"""Packages of Debian, fetched with apt and unpacked; nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.servers.cache import FetchError


class DebianPackages:
    """Packages in a folder; raises ``FetchError`` where there is no apt, or no answer.

    apt checks each package against the checksum in Debian's signed index. The index is read into
    the folder, because that of the system may be missing or old.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise FetchError("it is not on the path, and can only be fetched on Debian")
        self._folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        options = [f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}/cache"]
        options += ["APT::Sandbox::User=", "Acquire::Languages=none", "Debug::NoLocking=1"]
        self._apt = ["apt-get", "--quiet=2", *(word for text in options for word in ("-o", text))]
        self._run([*self._apt, "update"])

    def download(self, name: str) -> None:
        """Download a package alone."""
        self._run([*self._apt, "download", name])

    def download_with_dependencies(self, name: str) -> None:
        """Download a package, and those that it needs and the system does not have."""
        install = ("install", "--download-only", "--no-install-recommends", "--yes")
        self._run([*self._apt, *install, name])

    def unpack(self, target: Path) -> None:
        """Unpack all that was downloaded."""
        for package in [*self._folder.glob("*.deb"), *self._folder.glob("cache/archives/*.deb")]:
            self._run(["dpkg-deb", "--extract", str(package), str(target)])

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise FetchError(reason)
