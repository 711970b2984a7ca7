"""Writes the licences of all dependencies from their installed metadata: ``make licences``.

A test compares the names of the packages; the licences come from the environment of the run.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import files, metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "licences.md"
LOCK = ROOT / "config" / "requirements.lock"
#: The page lists the packages of this platform, wherever it is written.
_PLATFORM = {"sys_platform": "linux", "platform_machine": "x86_64"}
_LONGEST_LICENCE = 60
#: Extras of which a user's installation contains nothing.
_DEVELOPMENT = ("demo", "docs", "test", "bench")
_HEAD = """\
<!-- Made by 'make licences' from installed metadata; a test keeps the names equal. -->

# Licences of the dependencies

job-bridge has the [MIT licence](../../LICENSE.md). The licences below are those that the packages
declare in their metadata. [Dependencies](../architecture/dependencies.md) gives the reason for each
package.
"""
_INSTALLED = """
## Installed with the bridge

The packages of `config/requirements.lock`, which the container image contains: the dependencies,
the extras `librdkafka` and `codecs`, and the packages that these need.

"""
_FOR_DEVELOPMENT = """
## For development only

The packages that the extras `demo`, `docs`, `test` and `bench` name. Neither the wheel nor the
container image contains them.

"""


def locked() -> list[str]:
    """Return the packages of the lock file, sorted."""
    return sorted(re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.M))


def for_development() -> list[str]:
    """Return the packages of the other extras, sorted."""
    setup = ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    named = {name for extra in _DEVELOPMENT for name in _names(extras[extra])}
    return sorted(named - {*locked()})


def page() -> str:
    """Return the page, of which each row has a package and its licence."""
    return _HEAD + _INSTALLED + _table(locked()) + _FOR_DEVELOPMENT + _table(for_development())


def _names(requirements: str) -> Iterator[str]:
    for line in requirements.split("\n"):
        if not line.strip() or line.startswith("%("):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(_PLATFORM):
            yield canonicalize_name(requirement.name)


def _table(names: list[str]) -> str:
    rows = [f"| `{name}` | {licence(name)} |\n" for name in names]
    return "".join(["| package | licence |\n", "|---|---|\n", *rows])


def licence(name: str) -> str:
    """Return the licence that an installed package declares. Raises ``ValueError`` without one."""
    fields = metadata(name).json
    prefix = "License :: "
    classified = [
        text.removeprefix(prefix).split(" :: ")[-1]
        for text in fields.get("classifier", [])
        if text.startswith(prefix)
    ]
    # Some packages have the whole text of the licence in the older field.
    older = str(fields.get("license", ""))
    short = older if len(older) <= _LONGEST_LICENCE and "\n" not in older else ""
    text = str(fields.get("license_expression", "")) or short or ", ".join(classified)
    text = text or _title_of_licence(name)
    if not text:
        raise ValueError(f"{name} declares no licence")
    return text


def _title_of_licence(name: str) -> str:
    """Return the first line of the file of the licence; empty without such a file."""
    paths = (path for path in files(name) or () if path.name.startswith("LICENSE"))
    return next((path.read_text().strip().partition("\n")[0] for path in paths), "")


def write() -> None:
    """Write the page. Raises ``PackageNotFoundError`` where a package is not installed."""
    PAGE.write_text(page())


if __name__ == "__main__":
    write()
