"""The runbook as text for a terminal, whole or by section."""

import re
from difflib import get_close_matches
from posixpath import join, normpath

from bridge.errors import Usage
from bridge.files import OperatorsFile

_SECTION = re.compile(r"^### (.+)$", re.M)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
#: The folder of the runbook in the repository; the other pages are not in the package.
_FOLDER = "docs/operations"


def whole_runbook() -> str:
    """Return the runbook; the target of a link follows its words as a path in the repository."""
    return _LINK.sub(_words_and_path, OperatorsFile.RUNBOOK.text()).rstrip()


def section_of(name: str) -> str:
    """Return a section: the name of an alert, or the number of an exit code.

    Raises:
        Usage: There is no such section.
    """
    sections = _sections()
    wanted = f"exit code {name}" if name.isdecimal() else name.lower().replace("-", " ")
    if wanted in sections:
        return sections[wanted]
    near = get_close_matches(wanted, sections, 1)
    nearest = f"; the nearest is {sections[near[0]].partition(chr(10))[0][4:]}" if near else ""
    raise Usage(
        f"The runbook has no section {name!r:.100}{nearest}",
        "Nothing was read or sent",
        "Name an alert or an exit code, or leave it out to print all",
    )


def _words_and_path(link: re.Match[str]) -> str:
    words, target = link.groups()
    return f"{words} ({normpath(join(_FOLDER, target))})"


def _sections() -> dict[str, str]:
    """Return each section with its heading, by the heading in lower case."""
    parts = _SECTION.split(re.sub(r"^## .*\n", "", whole_runbook(), flags=re.M))[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {heading.lower(): f"### {heading}\n\n{text.strip()}" for heading, text in pairs}
