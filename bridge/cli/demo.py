"""``job-bridge demo``: runs everything embedded, and prints the messages as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.errors import Misconfigured

if TYPE_CHECKING:  # the demo's packages are an extra
    from bridge.demo.job_service.workload import Writes


@click.command()
@click.option(
    "--jobs", type=click.IntRange(1), help="End after this many jobs. Default: run until Ctrl-C."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Transitions per second.",
)
@click.option(
    "--size",
    type=click.IntRange(1500),
    default=2000,
    show_default=True,
    help="Size of a job document in bytes.",
)
@click.option(
    "--crash",
    is_flag=True,
    help="Kill the bridge with SIGKILL every few seconds, and restart it.",
)
@click.option(
    "--seed", type=int, help="Seed of the random jobs; the same seed makes the same jobs."
)
@click.option(
    "--writes",
    type=click.Choice(["push", "pipeline", "both"]),
    default="both",
    show_default=True,
    help="How the service updates jobs: with $push as CTS until 2025; with conditional pipelines "
    "and recoveries of failed jobs as the newest CTS; or some jobs each way.",
)
def demo(
    jobs: int | None, rate: float, size: int, crash: bool, seed: int | None, writes: Writes
) -> int:
    """Run the bridge with an embedded MongoDB and Kafka broker.

    A simulated job service changes jobs, and the messages are printed as they arrive.

    \b
    Example:
      job-bridge demo --jobs 20 --crash
    """
    try:
        from bridge.demo.play import Play, play
    except ImportError as error:
        raise Misconfigured(
            f"The demo needs the package {error.name}",
            "Nothing was started",
            "Run 'make run', or pip install '.[demo]' in the source folder",
        ) from None
    options = Play(jobs=jobs, rate=rate, size=size, crash=crash, seed=seed, writes=writes)
    return play(options)
