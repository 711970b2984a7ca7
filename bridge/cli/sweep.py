"""``job-bridge sweep``: sends tagged transitions, without a change stream."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from bridge.app.signals import on_stop
from bridge.cli.progress import bars
from bridge.cli.settings import JOBS, KAFKA, MODE, Settings, with_settings_of
from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.hints import Hint
from bridge.logs import Repeated
from bridge.model.policy import Backoff


@click.command()
@click.option("--once", is_flag=True, help="Sweep once, then end; for cron.")
@click.option("--create-index", is_flag=True, help="Create the indexes that sweeps need, then end.")
@with_settings_of(*JOBS, *KAFKA, *MODE, "kafka.headers")
def sweep(settings: Settings, once: bool, create_index: bool) -> int:
    """Send tagged transitions, and remove their tags.

    Sends those that are older than sweep.older_than_seconds; repeats every sweep.every_seconds.
    Requires delivery.mode = background-jobs or background-transitions. Uses no change stream, so it
    works on a standalone mongod. Two sweeps at the same time lose nothing, but may send duplicates.

    \b
    Example:
      job-bridge sweep --once --delivery-mode background-transitions
    """
    if not settings.delivery.mode.startswith("background"):
        raise Misconfigured(
            f"delivery.mode = {settings.delivery.mode} does not use tags",
            "Nothing was read or sent",
            "Set it to background-transitions, or to background-jobs with sweep.job_tag",
        )
    if create_index:
        return _create_index(settings)
    from bridge.app.wiring import open_source_and_store

    stop = threading.Event()
    with on_stop(stop.set), open_source_and_store(settings) as (source, _):
        # Shared by all sweeps, because it remembers the transitions that were sent in vain.
        tags = source.tags()
        if once:
            return _sweep_once(settings, source, tags, stop)
        return _sweep_repeatedly(settings, source, tags, stop)


def _create_index(settings: Settings) -> int:
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, _):
        query = source.sweep()
        missing = query.missing_indexes()
        if missing:
            query.create_indexes(missing)
    for name in missing:
        click.echo(f"created the index {name}")
    if not missing:
        click.echo("sweeps already have an index: nothing was changed")
    return 0


def _sweep_repeatedly(settings: Settings, source: Any, tags: Any, stop: threading.Event) -> int:
    """Sweep until stopped; retry after a temporary failure."""
    import logging

    failures, backoff, tries = Repeated(logging.getLogger("bridge")), Backoff(first=1.0), 0
    while not stop.is_set():
        try:
            code = _sweep_once(settings, source, tags, stop)
            tries = 0
            failures.over(time.monotonic(), "the sweep works again")
            if code:
                return code
            stop.wait(settings.sweep.every_seconds)
        except (Retryable, NotPermitted) as error:
            if isinstance(error, NotPermitted) and not tries:
                raise
            tries += 1
            failures.failed(time.monotonic(), str(error))
            stop.wait(backoff.wait(tries))
    return 0


def _sweep_once(settings: Settings, source: Any, tags: Any, stop: threading.Event) -> int:
    from bridge.app.wiring import open_republisher
    from bridge.delivery.untagging_sink import InFlight, StillTagged, UntaggingSink

    query, before = source.sweep(), time.time() - settings.sweep.older_than_seconds
    query.check_rights()
    if missing := query.missing_indexes():
        click.echo(
            "the sweep lacks an index, so it scans every job; "
            f"'{Hint.CREATE_SWEEP_INDEX}' creates {' and '.join(missing)}",
            err=True,
        )

    with (
        bars({"jobs": query.count(before)}) as advance,
        open_republisher(
            settings,
            stop,
            wrap=lambda sink: UntaggingSink(sink, tags, InFlight(), still_tagged=StillTagged()),
        ) as republisher,
    ):
        finished = republisher.run(_events(tags.pending(before), advance))
    click.echo(
        f"{republisher.settled} messages sent"
        + ("" if finished else "; stopped before the end, and the unsent transitions stay tagged")
    )
    return 0 if finished else Retryable.exit_code


def _events(pending: Iterator[Sequence[Any]], advance: Callable[[str, int], None]) -> Iterator[Any]:
    from bridge.model.position import ClusterTime, position_before
    from bridge.model.transition import SWEEP, Event

    for items in pending:
        advance("jobs", 1)
        yield Event(position_before(ClusterTime(0)), items, origin=SWEEP)
