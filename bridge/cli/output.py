"""The forms of output that the commands share: options, JSON documents and tables."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import click

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def json_option(text: str) -> _Decorator:
    """Return the option ``--json``, passed as ``as_json``; errors are JSON with it too."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def dry_run_option(text: str) -> _Decorator:
    """Return the option ``--dry-run``, with which a command changes nothing."""
    return click.option("--dry-run", is_flag=True, help=text)


def print_json(document: object) -> None:
    """Print a document on a single line."""
    click.echo(json.dumps(document))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with headers; columns are as wide as their content, and nothing is cut."""
    lines = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        click.echo("  ".join(text.ljust(width) for text, width in cells).rstrip())
