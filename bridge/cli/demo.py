"""``job-bridge demo``: everything embedded, messages shown as they arrive."""

import click

from bridge.errors import Misconfigured


@click.command()
@click.option("--jobs", type=click.IntRange(1), help="end by itself after so many jobs")
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="transitions a second",
)
@click.option(
    "--size",
    type=click.IntRange(1500),
    default=2000,
    show_default=True,
    help="bytes of a job document",
)
@click.option(
    "--crash",
    is_flag=True,
    help="kill the bridge with SIGKILL every few seconds, and start it again",
)
@click.option("--seed", type=int, help="repeat a run's jobs")
def demo(jobs: int | None, rate: float, size: int, crash: bool, seed: int | None) -> int:
    """Run the bridge on an embedded MongoDB and broker, with a simulated job service.

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
            "'make run', or pip install '.[demo]' in the folder of the source",
        ) from None
    return play(Play(jobs=jobs, rate=rate, size=size, crash=crash, seed=seed))
