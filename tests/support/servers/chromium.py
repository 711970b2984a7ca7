"""Chromium, from Debian's package, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.servers.cache import FetchError, cached, unavailable
from tests.support.servers.debian import DebianPackages

_LIBRARIES = "usr/lib/*-linux-gnu"
#: A container has no user namespaces for the sandbox; only pages of these tests are opened.
_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium: of the path, else fetched once with apt.

    Skips the test, with a reason, where neither is possible; fails where ``CI`` is set.
    """
    program, environment = _program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=[*_OPTIONS], env={**os.environ, **environment}
        )
        try:
            yield browser
        finally:
            browser.close()


def _program() -> tuple[str, Mapping[str, str]]:
    """Return the program, and what its environment needs."""
    installed = shutil.which("chromium")
    if installed is not None:
        return installed, {}
    try:
        root = cached("chromium", _fetch)
    except FetchError as error:
        unavailable(f"Chromium cannot be fetched: {error}")
    folders = [
        folder for found in root.glob(_LIBRARIES) for folder in (found, found / "pulseaudio")
    ]
    libraries = ":".join(str(folder) for folder in folders)
    environment = {"LD_LIBRARY_PATH": libraries}
    if (root / "etc/fonts").is_dir():
        # The system has no fonts of its own.
        (root / "fonts.conf").write_text(
            f"<fontconfig><dir>{root}/usr/share/fonts</dir>"
            f"<cachedir>{root}/font-cache</cachedir></fontconfig>"
        )
        environment["FONTCONFIG_FILE"] = str(root / "fonts.conf")
    return str(root / "usr/lib/chromium/chromium"), environment


def _fetch(folder: Path) -> None:
    state = folder / "apt"
    packages = DebianPackages(state)
    packages.download_with_dependencies("chromium")
    packages.unpack(folder)
    shutil.rmtree(state)
