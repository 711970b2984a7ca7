"""Every command that an error advises exists, with its options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import bridge
from bridge.cli import main
from bridge.hints import Hint

PACKAGE = Path(bridge.__file__).parent
#: A command line in a text; "job-bridge" alone is the product's name.
COMMAND = re.compile(
    r"job-bridge (run|check|config|token|topics|sweep|status|verify|replay|tail|notify)\b"
)


@pytest.mark.parametrize("hint", Hint)
def test_hints_name_existing_commands(hint: Hint) -> None:
    _, *words = shlex.split(hint)
    command: click.Command = main
    context = click.Context(command)
    while isinstance(command, click.Group):
        subcommand = command.get_command(context, words.pop(0))
        assert subcommand is not None
        command = subcommand
    known = {name for parameter in command.get_params(context) for name in parameter.opts}
    given = [word for word in words if word.startswith("--")]
    assert set(given) <= known
    assert words or not any(parameter.required for parameter in command.params)


def test_a_value_replaces_the_capital_word() -> None:
    assert Hint.TOKEN_SET_TIME.with_value("now") == Hint.TOKEN_SET_NOW


def texts(source: str) -> Iterator[str]:
    """Every text of a module except its docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node) is not None
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield str(node.value)


def test_commands_stand_in_hints_only() -> None:
    """Below the command line no module spells a command: no parser would check it."""
    modules = {
        str(path.relative_to(PACKAGE)): path.read_text()
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in ("cli", "demo", "hints.py")
    }
    unknown = [
        (name, text)
        for name, source in modules.items()
        for text in texts(source)
        if COMMAND.search(text)
    ]
    assert "app/bridge.py" in modules
    assert unknown == []
