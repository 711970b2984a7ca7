"""The figures of a run, stored as JSON lines: a line per contender and round."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "results"
PEERS_FILE = FOLDER / "peers.jsonl"
MODES_FILE = FOLDER / "modes.jsonl"
EXACTLY_ONCE_FILE = FOLDER / "exactly-once.jsonl"
#: Intervals between the stored points of a distribution.
_INTERVALS = 100

#: The figures of a contender in a round, by name.
Round = dict[str, float]


class Results:
    """Tables of contenders, with the figures of each round.

    Attributes:
        about: date, commit and machine; ``parts`` has date and commit of each part.
        settings: the settings of each contender.
        profile: microseconds of CPU per message, by driver and part of the code.
        distributions: sorted latencies in milliseconds, by contender.
    """

    def __init__(self, about: dict[str, Any] | None = None) -> None:
        self.about = about or environment()
        self.settings: dict[str, Mapping[str, str]] = {}
        self.profile: dict[str, Mapping[str, float]] = {}
        self.distributions: dict[str, Sequence[float]] = {}
        self._tables: dict[str, dict[str, list[Round]]] = {}

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read a file that ``save`` wrote; without the file there are no figures."""
        if not path.exists():
            return cls()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        results = cls(lines[0]["about"])
        for line in lines[1:]:
            contender = line.pop("contender")
            match line:
                case {"settings": settings}:
                    results.settings[contender] = settings
                case {"profile_us": parts}:
                    results.profile[contender] = parts
                case {"distribution_ms": values}:
                    results.distributions[contender] = values
                case _:
                    rounds = results._rounds(line.pop("table"), contender)
                    rounds.append({name: line[name] for name in line if name != "round"})
        return results

    def save(self, path: Path) -> None:
        """Write everything, in the order in which it was measured."""
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self._lines()))

    def begin(self, part: str, tables: Sequence[str]) -> None:
        """Discard these tables of an earlier run, and store date and commit of the new ones."""
        for table in tables:
            self._tables.pop(table, None)
        now = environment()
        self.about.setdefault("parts", {})[part] = {
            name: now[name] for name in ("date", "commit", "changed")
        }

    def add(self, table: str, contender: str, **figures: float) -> None:
        """Store the figures of a round, and print them."""
        rounded = {name: round(value, 4) for name, value in figures.items()}
        self._rounds(table, contender).append(rounded)
        printed = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        click.echo(f"{table:12} {contender:34} {printed}")

    def add_distribution(self, contender: str, values: Sequence[float]) -> None:
        """Store the shape of sorted values."""
        last = len(values) - 1
        points = [round(number * last / _INTERVALS) for number in range(_INTERVALS + 1)]
        if values:
            self.distributions[contender] = [round(values[point], 3) for point in points]

    def names(self, table: str) -> list[str]:
        return list(self._tables.get(table, {}))

    def values(self, table: str, contender: str, figure: str) -> list[float]:
        """The figure of each round in which it was measured."""
        rounds = self._tables.get(table, {}).get(contender, [])
        return [figures[figure] for figures in rounds if figure in figures]

    def median(self, table: str, contender: str, figure: str) -> float | None:
        values = self.values(table, contender, figure)
        return statistics.median(values) if values else None

    def ratios(self, table: str, contender: str, other: str, figure: str) -> list[float]:
        """The figure of a contender divided by that of another, round by round."""
        pairs = zip(
            self.values(table, contender, figure),
            self.values(table, other, figure),
            strict=False,
        )
        return [value / base for value, base in pairs if base]

    def _rounds(self, table: str, contender: str) -> list[Round]:
        return self._tables.setdefault(table, {}).setdefault(contender, [])

    def _lines(self) -> Iterator[dict[str, Any]]:
        yield {"about": self.about}
        for contender, settings in self.settings.items():
            yield {"contender": contender, "settings": settings}
        for table, contenders in self._tables.items():
            for contender, rounds in contenders.items():
                for number, figures in enumerate(rounds, start=1):
                    yield {"table": table, "contender": contender, "round": number, **figures}
        for contender, parts in self.profile.items():
            yield {"contender": contender, "profile_us": parts}
        for contender, values in self.distributions.items():
            yield {"contender": contender, "distribution_ms": values}


def environment() -> dict[str, Any]:
    """Date, machine and commit of a run."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "cpu": next(iter(models), "") or platform.machine(),
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
