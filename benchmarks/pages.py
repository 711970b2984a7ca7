"""Fills the generated blocks of a page; its other text is written by hand in the page itself."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Rows = Iterable[Sequence[str]]

_NOT_MEASURED = "Not measured in this run."


def fill(page: Path, blocks: Mapping[str, str]) -> None:
    """Replace the text between ``<!-- NAME: generated -->`` and ``<!-- NAME: end -->``.

    Raises:
        ValueError: the page does not contain exactly the given blocks.
    """
    text = page.read_text()
    for name, content in blocks.items():
        start, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"{page} does not contain the block {name!r} exactly once")
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{content or _NOT_MEASURED}\n\n{end}{rest.partition(end)[2]}"
    unknown = set(re.findall(r"<!-- ([\w-]+): generated -->", text)) - set(blocks)
    if unknown:
        raise ValueError(f"{page} contains blocks that are not generated: {sorted(unknown)}")
    page.write_text(text)


def table(head: Sequence[str], rows: Rows) -> str:
    """A Markdown table; empty without rows."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(
        ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines] if lines else []
    )


def spread(values: Sequence[float], form: str) -> str:
    """The median, and the lowest and the highest of several values; empty without values."""
    if not values:
        return ""
    median = form.format(statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({form.format(min(values))} - {form.format(max(values))})"
