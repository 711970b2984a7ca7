"""The plots of docs/benchmarks.md, as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from benchmarks.contenders import DRIVERS, title
from benchmarks.results import Results

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.hashsalt": "job-bridge",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
from matplotlib import pyplot  # noqa: E402  after the backend is chosen
from matplotlib.figure import Figure  # noqa: E402

_OWN, _OTHER, _LIMIT = "#1f6f8b", "#b0b7bf", "#e0c068"


def draw(results: Results, folder: Path) -> list[tuple[str, str]]:
    """Draw everything there are figures for; return title and file name of each plot."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = []
    for name, caption, drawn in (
        (
            "throughput",
            "Throughput over the backlog, warm half (transitions/s, median and range)",
            _bars(results, "rate", "warm_rate", folder / "throughput.svg"),
        ),
        (
            "cpu",
            "CPU seconds per 100 000 transitions, with start-up (median and range)",
            _bars(results, "cpu", "cpu", folder / "cpu.svg"),
        ),
        (
            "memory",
            "Peak resident memory (MB, median and range)",
            _bars(results, "megabytes", "megabytes", folder / "memory.svg"),
        ),
        (
            "latency",
            "Latency at 200 writes/s: share of the messages that arrived within",
            _distribution(results, folder / "latency.svg"),
        ),
        (
            "rates",
            "Latency over the rate (ms; solid p50, dashed p99)",
            _rates(results, folder / "rates.svg"),
        ),
        (
            "growth",
            "Rate over the size of the backlog (transitions/s)",
            _growth(results, folder / "growth.svg"),
        ),
    ):
        if drawn:
            plots.append((caption, f"{name}.svg"))
    return plots


def _bars(results: Results, limit_figure: str, figure: str, path: Path) -> bool:
    series = {
        title(name): results.values("throughput", name, figure)
        or results.values("throughput", name, limit_figure)
        for name in results.names("throughput")
    }
    series = {name: values for name, values in series.items() if values}
    if not series:
        return False
    canvas, axes = pyplot.subplots(figsize=(7, 0.4 * len(series) + 0.8))
    for row, (name, values) in enumerate(series.items()):
        middle = sorted(values)[len(values) // 2]
        colour = (
            _OWN
            if name.startswith("job-bridge")
            else _LIMIT
            if name.startswith(("watch", "raw"))
            else _OTHER
        )
        axes.barh(
            row,
            middle,
            color=colour,
            xerr=[[middle - min(values)], [max(values) - middle]],
            ecolor="#444",
        )
    axes.set_yticks(range(len(series)), list(series))
    axes.invert_yaxis()
    return _save(canvas, path)


def _distribution(results: Results, path: Path) -> bool:
    found: Mapping[str, Sequence[float]] = {
        name: values for name, values in results.distributions().items() if name.endswith(", 200/s")
    }
    if not found:
        return False
    canvas, axes = pyplot.subplots(figsize=(7, 3.2))
    for name, values in found.items():
        own = name.startswith(DRIVERS)
        shares = [number / (len(values) - 1) for number in range(len(values))]
        axes.plot(
            values, shares, label=title(name.removesuffix(", 200/s")), linewidth=2 if own else 1.2
        )
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.legend(frameon=False)
    return _save(canvas, path)


def _rates(results: Results, path: Path) -> bool:
    canvas, axes = pyplot.subplots(figsize=(7, 3))
    drawn = False
    for who, colour in zip((*DRIVERS, "watch()"), (_OWN, "#c0504d", _LIMIT), strict=True):
        rates = sorted(
            int(name.split(", ")[1].removesuffix("/s"))
            for name in results.names("latency")
            if name.startswith(f"{who}, ")
        )
        for figure, style in (("p50", "-"), ("p99", "--")):
            values = [results.median("latency", f"{who}, {rate}/s", figure) or 0 for rate in rates]
            axes.plot(rates, values, style, color=colour, marker="o", label=f"{who} {figure}")
            drawn = drawn or len(rates) > 1
    axes.set_xscale("log")
    axes.set_xlabel("transitions/s")
    axes.legend(frameon=False)
    return _save(canvas, path) and drawn


def _growth(results: Results, path: Path) -> bool:
    canvas, axes = pyplot.subplots(figsize=(7, 3))
    drawn = False
    for driver, colour in zip(DRIVERS, (_OWN, "#c0504d"), strict=True):
        sizes = sorted(
            int(name.split(", ")[1])
            for name in results.names("growth")
            if name.startswith(f"{driver}, ")
        )
        axes.plot(
            sizes,
            [results.median("growth", f"{driver}, {size}", "rate") or 0 for size in sizes],
            marker="o",
            color=colour,
            label=driver,
        )
        drawn = drawn or bool(sizes)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("transitions in the backlog")
    axes.legend(frameon=False)
    return _save(canvas, path) and drawn


def _save(canvas: Figure, path: Path) -> bool:
    canvas.tight_layout()
    canvas.savefig(path, metadata={"Date": None})
    pyplot.close(canvas)
    return True
