"""The forms of output that the commands share: options, JSON documents and tables."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from bridge.errors import one_line
from bridge.hints import Hint

#: Longer cells do not widen their column.
_WIDEST = 80

#: The help of ``--dry-run`` where messages are printed.
PRINT_MESSAGES = (
    "Print the messages instead of sending them. Kafka is not asked, so a message that is larger "
    "than the topic accepts is printed too."
)

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
    """Print a table with headers; unprintable characters are escaped.

    Nothing is cut, so a very long cell moves the rest of its row.
    """
    lines = [headers, *([one_line(cell) for cell in row] for row in rows)]
    widths = [
        max(len(text) for text in column if len(text) <= _WIDEST)
        for column in zip(*lines, strict=True)
    ]
    for line in lines:
        cells = zip(line, widths, strict=True)
        click.echo("  ".join(text.ljust(width) for text, width in cells).rstrip())


def report_dead_letters(topic: str, count: int) -> None:
    """Say on standard error how many transitions were dead-lettered; nothing for none."""
    if count:
        click.echo(
            f"{count} transition(s) were dead-lettered to {topic}-dlq; "
            f"'{Hint.LIST_DEAD_LETTERS}' shows them",
            err=True,
        )
