"""``job-bridge sweep``: the background processor alone."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from bridge.app.signals import on_stop
from bridge.cli.progress import bars
from bridge.cli.settings import Settings, with_settings
from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.logs import Repeated
from bridge.model.policy import Backoff


@click.command()
@click.option("--once", is_flag=True, help="one sweep, then end: for cron")
@click.option("--create-index", is_flag=True, help="make the index a sweep needs, and end")
@with_settings
def sweep(settings: Settings, once: bool, create_index: bool) -> int:
    """Send what is tagged and older than sweep.older_than_seconds, and take the tags off; every sweep.every_seconds.

    Needs delivery.mode = background-jobs or background-transitions, and no change stream: it works on a
    standalone mongod. Two at once lose nothing; they repeat what both held at that moment.

    \b
    Example:
      job-bridge sweep --once --delivery-mode background-transitions
    """
    if not settings.delivery.mode.startswith("background"):
        raise Misconfigured(
            f"delivery.mode = {settings.delivery.mode} knows no tags",
            "Nothing was read or sent",
            "Set it to background-transitions, or to background-jobs with sweep.job_tag",
        )
    if create_index:
        return _create_index(settings)
    from bridge.app.wiring import open_source_and_store

    stop = threading.Event()
    with on_stop(stop.set), open_source_and_store(settings) as (source, _):
        tags = source.tags()  # they know what was sent in vain, from one sweep to the next
        return (
            _once(settings, source, tags, stop)
            if once
            else _again_and_again(settings, source, tags, stop)
        )


def _create_index(settings: Settings) -> int:
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, _):
        sweeping = source.sweep()
        missing = sweeping.missing_index()
        if missing:
            sweeping.create_index()
    click.echo(
        f"made the index {missing}"
        if missing
        else "a sweep has an index already: nothing was changed"
    )
    return 0


def _again_and_again(settings: Settings, source: Any, tags: Any, stop: threading.Event) -> int:
    """Sweep until stopped; failures that pass are waited out."""
    import logging

    trouble, backoff, tries = Repeated(logging.getLogger("bridge")), Backoff(first=1.0), 0
    while not stop.is_set():
        try:
            code = _once(settings, source, tags, stop)
            tries = 0
            trouble.over(time.monotonic(), "sweeping again")
            if code:
                return code
            stop.wait(settings.sweep.every_seconds)
        except (Retryable, NotPermitted) as error:
            if isinstance(error, NotPermitted) and not tries:
                raise
            tries += 1
            trouble.failed(time.monotonic(), str(error))
            stop.wait(backoff.wait(tries))
    return 0


def _once(settings: Settings, source: Any, tags: Any, stop: threading.Event) -> int:
    from bridge.app.wiring import open_republisher
    from bridge.delivery.untagging_sink import InFlight, UntaggingSink

    sweeping, before = source.sweep(), time.time() - settings.sweep.older_than_seconds
    sweeping.check_rights()
    if missing := sweeping.missing_index():
        click.echo(
            f"no index serves the sweep: it looks at every job; 'job-bridge sweep --create-index' makes {missing}",
            err=True,
        )

    with (
        bars({"jobs": sweeping.count(before)}) as advance,
        open_republisher(
            settings, stop, around=lambda sink: UntaggingSink(sink, tags, InFlight())
        ) as resend,
    ):
        whole = resend.run(_events(tags.pending(before), advance))
    click.echo(
        f"{resend.counters.settled} messages sent"
        + ("" if whole else "; stopped before the end, the rest keeps its tags")
    )
    return 0 if whole else Retryable.exit_code


def _events(pending: Iterator[Sequence[Any]], advance: Callable[[str, int], None]) -> Iterator[Any]:
    from bridge.model.position import ClusterTime, position_before
    from bridge.model.transition import SWEEP, Event

    for items in pending:
        advance("jobs", 1)
        yield Event(position_before(ClusterTime(0)), items, origin=SWEEP)
