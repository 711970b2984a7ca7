"""Progress bars on standard error, where a person looks; nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import click


@contextmanager
def bars(totals: Mapping[str, int | None]) -> Iterator[Callable[[str, int], None]]:
    """Gives a function that hears what was done, and how many more; one bar after the other, in the order of ``totals``.

    A total of None is unknown.
    """
    if not sys.stderr.isatty():
        yield lambda _what, _more: None
        return
    with ExitStack() as stack:
        open_bars: dict[str, Any] = {}

        def advance(what: str, more: int) -> None:
            if what not in open_bars:
                stack.close()
                bar = click.progressbar(
                    length=totals.get(what) or 0, label=f"{what:10}", show_pos=True, file=sys.stderr
                )
                open_bars[what] = stack.enter_context(bar)
            open_bars[what].update(more)

        yield advance
