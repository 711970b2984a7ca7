"""Draws the pictures of docs/benchmarks.md as SVG, with text as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.contenders import DRIVERS, title
from benchmarks.results import Results

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "job-bridge",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
from matplotlib import pyplot  # noqa: E402  after the backend is chosen
from matplotlib.figure import Figure  # noqa: E402

_OWN, _SECOND, _OTHER, _LIMIT = "#1f6f8b", "#c0504d", "#b0b7bf", "#e0c068"
_COLOURS = dict(zip((*DRIVERS, "watch()"), (_OWN, _SECOND, _LIMIT), strict=True))
#: File, title, label of the axis, figure, and the figure drawn where that was not measured.
_BARS = (
    ("throughput", "Rate over a backlog, warm half", "transitions/s", "warm_rate", "rate"),
    ("cpu", "CPU time, start-up included", "CPU seconds per 100 000 transitions", "cpu", ""),
    ("memory", "Peak resident memory", "MB", "megabytes", ""),
)


def draw(results: Results, folder: Path) -> None:
    """Draw each picture for which there are figures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, heading, label, figure, otherwise in _BARS:
        values = _throughput(results, figure, otherwise)
        if values:
            _bars(values, f"{heading} (median and range)", label, folder / f"{name}.svg")
    if results.distributions:
        _distribution(results, folder / "latency.svg")
    if results.names("latency"):
        _rates(results, folder / "rates.svg")
    if results.names("growth"):
        _growth(results, folder / "growth.svg")


def _throughput(results: Results, figure: str, otherwise: str) -> dict[str, list[float]]:
    series = {
        title(name): results.values("throughput", name, figure)
        or results.values("throughput", name, otherwise)
        for name in results.names("throughput")
    }
    return {name: values for name, values in series.items() if values}


def _bars(series: dict[str, list[float]], heading: str, label: str, path: Path) -> None:
    canvas, axes = pyplot.subplots(figsize=(7, 0.4 * len(series) + 1.2))
    for row, (name, values) in enumerate(series.items()):
        middle = sorted(values)[len(values) // 2]
        range_ = [[middle - min(values)], [max(values) - middle]]
        axes.barh(row, middle, color=_colour(name), xerr=range_, ecolor="#444")
    axes.set_yticks(range(len(series)), list(series))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    _save(canvas, axes, heading, path)


def _colour(name: str) -> str:
    if name.startswith("job-bridge"):
        return _OWN
    return _LIMIT if name.startswith(("watch", "raw")) else _OTHER


def _distribution(results: Results, path: Path) -> None:
    canvas, axes = pyplot.subplots(figsize=(7, 3.6))
    for contender, values in results.distributions.items():
        name = contender.removesuffix(", 200/s")
        shares = [100 * number / (len(values) - 1) for number in range(len(values))]
        width = 2 if name in DRIVERS else 1.2
        axes.plot(values, shares, label=title(name), linewidth=width)
    _log_ticks(axes, [1, 2, 5, 10, 20])
    axes.set_xlabel("milliseconds from the write to the arrival at a consumer")
    axes.set_ylabel("% of the messages")
    axes.legend(frameon=False)
    _save(canvas, axes, "Latency at 200 writes/s: messages that arrived within a time", path)


def _rates(results: Results, path: Path) -> None:
    canvas, axes = pyplot.subplots(figsize=(7, 3.4))
    rates: list[int] = []
    for name, colour in _COLOURS.items():
        rates = sorted(
            int(contender.split(", ")[1].removesuffix("/s"))
            for contender in results.names("latency")
            if contender.startswith(f"{name}, ")
        )
        for figure, style in (("p50", "-"), ("p99", "--")):
            values = [results.median("latency", f"{name}, {rate}/s", figure) or 0 for rate in rates]
            axes.plot(rates, values, style, color=colour, marker="o", label=f"{name} {figure}")
    _log_ticks(axes, rates)
    axes.set_xlabel("writes/s")
    axes.set_ylabel("milliseconds")
    axes.legend(frameon=False)
    _save(canvas, axes, "Latency by the rate of writes", path)


def _growth(results: Results, path: Path) -> None:
    canvas, axes = pyplot.subplots(figsize=(7, 3.4))
    sizes: list[int] = []
    for driver in DRIVERS:
        sizes = sorted(
            int(contender.split(", ")[1])
            for contender in results.names("growth")
            if contender.startswith(f"{driver}, ")
        )
        rates = [results.median("growth", f"{driver}, {size}", "rate") or 0 for size in sizes]
        axes.plot(sizes, rates, marker="o", color=_COLOURS[driver], label=driver)
    _log_ticks(axes, sizes)
    axes.set_ylim(bottom=0, top=1.15 * max(axes.get_ylim()))
    axes.set_xlabel("transitions in the backlog")
    axes.set_ylabel("transitions/s")
    axes.legend(frameon=False)
    _save(canvas, axes, "Rate by the size of the backlog", path)


def _log_ticks(axes: Any, values: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(values, [f"{value:,}".replace(",", " ") for value in values])


def _save(canvas: Figure, axes: Any, heading: str, path: Path) -> None:
    axes.set_title(heading, loc="left")
    canvas.tight_layout()
    canvas.savefig(path, metadata={"Date": None, "Title": heading})
    pyplot.close(canvas)
