"""The rules for the tests themselves: short names of tests, and one name for one helper."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
#: The folders with tests and their helpers.
FOLDERS = ("e2e", "contract", "integration", "support", "unit")
MAX_WORDS = 8

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions() -> Iterator[tuple[str, Definition]]:
    """Every class and function in :data:`FOLDERS`, with its file."""
    for folder in FOLDERS:
        for path in sorted((TESTS / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, Definition):
                    yield str(path.relative_to(TESTS)), node


def words(name: str) -> int:
    """The number of words in the name of a test, after ``test_``."""
    return len(name.removeprefix("test_").split("_"))


@pytest.mark.parametrize(
    ("name", "count"), [("test_a_name_of_eight_words_is_just_fine", 8), ("test_one", 1)]
)
def test_words_are_counted(name: str, count: int) -> None:
    assert words(name) == count


def test_test_names_are_short() -> None:
    long = [
        f"{file}:{node.lineno} {node.name}"
        for file, node in definitions()
        if node.name.startswith("test_") and words(node.name) > MAX_WORDS
    ]

    assert long == [], f"put the rest of the story into the docstring: at most {MAX_WORDS} words"


def test_class_names_are_unique() -> None:
    places: dict[str, list[str]] = {}
    for file, node in definitions():
        if isinstance(node, ast.ClassDef):
            places.setdefault(node.name, []).append(f"{file}:{node.lineno}")
    repeated = {name: where for name, where in places.items() if len(where) > 1}

    assert repeated == {}, "name each helper for its own role"
