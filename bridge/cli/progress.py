"""Progress bars on standard error, if it is a terminal."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import click


@contextmanager
def bars(totals: Mapping[str, int | None]) -> Iterator[Callable[[str, int], None]]:
    """Show a progress bar for each kind of work, one after the other.

    Args:
        totals: The expected amount of each kind; None if it is unknown.

    Yields:
        A function to call with the kind, and by how much it advanced.
    """
    if not sys.stderr.isatty():
        yield lambda _kind, _more: None
        return
    with ExitStack() as stack:
        open_bars: dict[str, Any] = {}

        def advance(kind: str, more: int) -> None:
            if kind not in open_bars:
                stack.close()
                bar = click.progressbar(
                    length=totals.get(kind) or 0, label=f"{kind:10}", show_pos=True, file=sys.stderr
                )
                open_bars[kind] = stack.enter_context(bar)
            open_bars[kind].update(more)

        yield advance
