"""Figures of one run, kept as JSON, so that the page can be made of them again."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "benchmarks.json"
#: Points kept of a distribution.
_POINTS = 200


class Results:
    """Tables of contenders, each with a list of values for each figure, one a round."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        self._document = document or {
            "about": about(),
            "tables": {},
            "distributions": {},
            "settings": {},
            "profile": {},
        }

    @classmethod
    def load(cls, path: Path = FILE) -> "Results":
        return cls(json.loads(path.read_text()))

    def save(self, path: Path = FILE) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self._document, indent=1) + "\n")

    @property
    def about(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._document["about"]
        return found

    @property
    def settings(self) -> Mapping[str, Mapping[str, str]]:
        found: Mapping[str, Mapping[str, str]] = self._document["settings"]
        return found

    @property
    def profile(self) -> dict[str, Any]:
        found: dict[str, Any] = self._document["profile"]
        return found

    def begin(self, part: str, tables: Sequence[str]) -> None:
        """Forget what an earlier run has of these tables, and note when and of which commit they are made now."""
        for table in tables:
            self._document["tables"].pop(table, None)
        now = about()
        self._document["about"].setdefault("parts", {})[part] = {
            name: now[name] for name in ("date", "commit", "changed")
        }

    def add(self, table: str, name: str, **figures: float) -> None:
        """Note one round's figures, and print them."""
        kept = self._document["tables"].setdefault(table, {}).setdefault(name, {})
        for figure, value in figures.items():
            kept.setdefault(figure, []).append(round(value, 4))
        click.echo(
            f"{table:12} {name:34} "
            + "  ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
        )

    def describe(self, name: str, settings: Mapping[str, str]) -> None:
        """Note what a contender was told."""
        self._document["settings"][name] = dict(settings)

    def distribution(self, name: str, values: Sequence[float]) -> None:
        """Keep the shape of sorted values."""
        if values:
            kept = [
                values[min(len(values) - 1, round(n * (len(values) - 1) / _POINTS))]
                for n in range(_POINTS + 1)
            ]
            self._document["distributions"][name] = [round(one, 3) for one in kept]

    def distributions(self) -> Mapping[str, Sequence[float]]:
        found: Mapping[str, Sequence[float]] = self._document["distributions"]
        return found

    def names(self, table: str) -> list[str]:
        return list(self._document["tables"].get(table, {}))

    def values(self, table: str, name: str, figure: str) -> list[float]:
        """One value a round; empty when it was not measured."""
        found: list[float] = self._document["tables"].get(table, {}).get(name, {}).get(figure, [])
        return found

    def median(self, table: str, name: str, figure: str) -> float | None:
        values = self.values(table, name, figure)
        return statistics.median(values) if values else None

    def ratios(
        self, table: str, name: str, other: str, figure: str, other_figure: str = ""
    ) -> list[float]:
        """Round by round: one contender's figure by another's."""
        pairs = zip(
            self.values(table, name, figure),
            self.values(table, other, other_figure or figure),
            strict=False,
        )
        return [mine / theirs for mine, theirs in pairs if theirs]


def about() -> dict[str, Any]:
    """When, on what, and of which commit."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "cpu": model or platform.machine(),
        "memory": f"{memory:.0f} GiB",
        "python": platform.python_version(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--", "bridge")),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
