"""``job-bridge sweep``: sends tagged transitions, without a change stream."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from bridge.app.signals import on_stop
from bridge.cli import INTERRUPTED
from bridge.cli.output import dry_run_option, json_option, print_json, report_dead_letters
from bridge.cli.progress import bars
from bridge.cli.settings import CHECKPOINT, JOBS, KAFKA, MODE, Settings, with_settings_of
from bridge.cli.sweep_checks import refuse_beside_bridge, written_by_sweep
from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.hints import Hint
from bridge.logs import Repeated
from bridge.model.message import value_of
from bridge.model.policy import Backoff
from bridge.model.profile import namespace_of
from bridge.model.transition import Transition

logger = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class _Printed:
    """The options that decide what is printed; with ``dry_run`` nothing is sent or written."""

    dry_run: bool
    as_json: bool


@click.command()
@click.option("--once", is_flag=True, help="Sweep once, then end; for cron.")
@click.option("--create-index", is_flag=True, help="Create the indexes that sweeps need, then end.")
@dry_run_option("Print the messages that a sweep would send now, and change nothing.")
@json_option(
    "Print a line {namespace, topic, dry_run, messages, dead_lettered, finished} for each sweep "
    "as JSON, or {created_indexes}."
)
@click.option(
    "--force", is_flag=True, help="Sweep although a bridge of another mode owns a checkpoint."
)
@with_settings_of(*JOBS, *KAFKA, *MODE, *CHECKPOINT, "kafka.headers")
def sweep(
    settings: Settings, once: bool, create_index: bool, dry_run: bool, as_json: bool, force: bool
) -> int:
    """Send tagged transitions, and remove their tags.

    Sends those that are older than sweep.older_than_seconds; repeats every sweep.every_seconds.
    Requires delivery.mode = background-jobs or background-transitions. Uses no change stream, so it
    works on a standalone mongod. Two sweeps at the same time lose nothing, but may send duplicates.

    It writes to the jobs: background-transitions sets sweep.transition_tag to true, background-jobs
    removes sweep.job_tag. It does not start beside a bridge that publishes the same collection in
    another mode, because every message would be sent twice.

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
    printed = _Printed(dry_run, as_json)
    if create_index:
        return _create_index(settings, printed)
    from bridge.app.wiring import open_source_and_store

    if not (dry_run or force):
        refuse_beside_bridge(settings)
    stop = threading.Event()
    with on_stop(stop.set), open_source_and_store(settings) as (source, _):
        # Shared by all sweeps, because it remembers the transitions that were sent in vain.
        tags = source.tags()
        if dry_run:
            return _print_messages(settings, tags, printed, stop)
        logger.info("%s", written_by_sweep(settings))
        if once:
            return _sweep_once(settings, source, tags, printed, stop)
        return _sweep_repeatedly(settings, source, tags, printed, stop)


def _print_messages(settings: Settings, tags: Any, printed: _Printed, stop: threading.Event) -> int:
    count = 0
    for items in tags.pending(time.time() - settings.sweep.older_than_seconds):
        if stop.is_set():
            return INTERRUPTED
        for item in items:
            if isinstance(item, Transition):
                click.echo(value_of(item).decode())
                count += 1
    if printed.as_json:
        _print_summary(settings, printed, count, 0, finished=True)
    else:
        text = f"{count} messages would be sent; nothing was sent, and no tag was removed"
        click.echo(text, err=True)
    return 0


def _print_summary(
    settings: Settings, printed: _Printed, messages: int, dead_lettered: int, *, finished: bool
) -> None:
    print_json(
        {
            "namespace": namespace_of(settings),
            "topic": settings.kafka.topic,
            "dry_run": printed.dry_run,
            "messages": messages,
            "dead_lettered": dead_lettered,
            "finished": finished,
        }
    )


def _create_index(settings: Settings, printed: _Printed) -> int:
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, _):
        query = source.sweep()
        missing = query.missing_indexes()
        if missing and not printed.dry_run:
            query.create_indexes(missing)
    if printed.as_json:
        print_json({"dry_run": printed.dry_run, "created_indexes": [*missing]})
        return 0
    for name in missing:
        click.echo(f"{'would create' if printed.dry_run else 'created'} the index {name}")
    if not missing:
        click.echo("sweeps already have an index: nothing was changed")
    return 0


def _sweep_repeatedly(
    settings: Settings, source: Any, tags: Any, printed: _Printed, stop: threading.Event
) -> int:
    """Sweep until stopped; retry after a temporary failure."""
    failures, backoff, tries = Repeated(logger), Backoff(first=1.0), 0
    while not stop.is_set():
        try:
            code = _sweep_once(settings, source, tags, printed, stop)
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


def _sweep_once(
    settings: Settings, source: Any, tags: Any, printed: _Printed, stop: threading.Event
) -> int:
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
    if printed.as_json:
        _print_summary(
            settings,
            printed,
            republisher.sent,
            republisher.dead_lettered,
            finished=finished,
        )
    else:
        rest = (
            "" if finished else "; stopped before the end, and the unsent transitions stay tagged"
        )
        report_dead_letters(settings.kafka.topic, republisher.dead_lettered)
        click.echo(f"{republisher.sent} messages sent{rest}")
    return 0 if finished else Retryable.exit_code


def _events(pending: Iterator[Sequence[Any]], advance: Callable[[str, int], None]) -> Iterator[Any]:
    from bridge.model.position import ClusterTime, position_before
    from bridge.model.transition import SWEEP, Event

    for items in pending:
        advance("jobs", 1)
        yield Event(position_before(ClusterTime(0)), items, origin=SWEEP)
