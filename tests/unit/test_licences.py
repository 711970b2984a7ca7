"""The page of licences lists the packages that the lock file and setup.cfg name."""

from __future__ import annotations

import re

from docs import licences

ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (.+) \|$", re.M)


def test_licences_list_every_dependency() -> None:
    rows = ROW.findall(licences.PAGE.read_text())

    assert [name for name, _ in rows] == [*licences.locked(), *licences.for_development()], (
        "run 'make licences'"
    )
    assert {"pymongo", "confluent-kafka", "zstandard", "ruff"} <= {name for name, _ in rows}


def test_a_licence_comes_from_the_metadata() -> None:
    """The expression, the short text of the older field, or the classifier."""
    assert licences.licence("click") == "BSD-3-Clause"
    assert "Apache" in licences.licence("confluent-kafka")
