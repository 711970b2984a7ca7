"""``job-bridge replay``: publishes again what the jobs tell."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import click

from bridge.cli.progress import bars
from bridge.cli.settings import Config, with_settings
from bridge.cli.times import span, when
from bridge.errors import Usage
from bridge.model.gap import moment_of
from bridge.model.message import value_of
from bridge.model.position import ClusterTime, Position, position_from
from bridge.model.transition import REPLAY, Event, Transition
from bridge.signals import on_stop

_INTERRUPTED = 130
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which transitions; None and empty are all. ``updated`` leaves out jobs that were last updated before."""

    job_ids: Sequence[str]
    since: float | None
    until: float | None
    states: Sequence[str]
    updated: float | None

    @property
    def begin(self) -> float | None:
        """Jobs that were last updated before this have nothing that is wanted, or were done already."""
        return max((moment for moment in (self.since, self.updated) if moment is not None), default=None)

    def holds(self, item: object) -> bool:
        if not isinstance(item, Transition) or (self.states and item.state not in self.states):
            return False
        moment = moment_of(item)
        return (self.since is None or moment >= self.since) and (self.until is None or moment <= self.until)


@click.command()
@click.option("--job", "job_ids", metavar="ID", multiple=True, help="only this job; may be given again")
@click.option("--since", metavar="WHEN", help="from when on: 24h, 7d, or an ISO 8601 time with its zone")
@click.option("--from", "begin", metavar="WHEN", help="the same, for use with --to")
@click.option("--to", "end", metavar="WHEN", help="up to when; default: now")
@click.option("--state", "states", metavar="S", multiple=True, help="only transitions to this state; may be given again")
@click.option("--updated-from", "updated", metavar="WHEN", help="leave out jobs last updated before: an interrupted replay tells when to go on")
@click.option("--topic", help="another topic than kafka.topic")
@click.option("--dry-run", is_flag=True, help="print the messages instead of sending them")
@click.option("--rate", type=click.FloatRange(min=0), default=0.0, help="at most so many jobs a second; default: as fast as it goes")
@with_settings
def replay(
    config: Config, job_ids: tuple[str, ...], since: str | None, begin: str | None, end: str | None, states: tuple[str, ...],
    updated: str | None, topic: str | None, dry_run: bool, rate: float,
) -> int:
    """Publish again, from the jobs' history: a job's transitions in order, with their identity, and ce_origin replay.

    Touches no checkpoint. The first Ctrl-C ends it cleanly and tells how to go on.

    \b
    Example:
      job-bridge replay --from 2026-03-02T18:00:00+00:00 --to 2026-03-02T19:00:00+00:00 --state complete
      job-bridge replay --job 6e7f6e1c-8f0e-4e4e-9d39-0b7e0a6b1c11 --dry-run
    """
    asked = span(since, begin, end)
    if not (job_ids or asked or states):
        raise Usage("say what to replay: --job, --from or --since, or --state")
    begin_at, end_at = (asked[0].timestamp(), asked[1].timestamp() if end else None) if asked else (None, None)
    go_on = when("--updated-from", updated).timestamp() if updated else None
    wanted = _Wanted(job_ids, begin_at, end_at, states, go_on)
    return _replay(_to(config, topic), wanted, dry_run, rate)


def _to(config: Config, topic: str | None) -> Config:
    if topic is None:
        return config
    from bridge.config.sections import Kafka

    try:
        kafka = Kafka.model_validate({**config.kafka.model_dump(), "topic": topic})
    except ValueError as error:
        raise Usage(f"--topic: {error}") from None
    return config.model_copy(update={"kafka": kafka})


def _replay(config: Config, wanted: _Wanted, dry_run: bool, rate: float) -> int:
    from bridge.parts import opened, resending

    stop = threading.Event()
    with opened(config) as (source, _), on_stop(stop.set):
        history, ids = source.history, wanted.job_ids
        jobs = history.some(ids) if ids else history.jobs(wanted.begin)
        total = len(ids) if ids else history.count(wanted.begin)
        with bars({"jobs": total}) as advance:
            events = _events(jobs, wanted, lambda: advance("jobs", 1))
            if dry_run:
                return _print(events, stop)
            with resending(config, stop, rate) as resend:
                sent = [0]

                def settled(more: int) -> None:
                    sent[0] += more

                whole = resend.run(events, settled)
                reached = resend.window.position
        click.echo(f"{sent[0]} messages sent to {config.kafka.topic}")
    if ids and total and not sent[0]:
        click.echo("no transition of these jobs was found", err=True)
    if not whole:
        click.echo(f"stopped; to go on: {_rest(wanted, reached)}", err=True)
        return _INTERRUPTED
    return 0


def _events(jobs: Iterator[Any], wanted: _Wanted, done: Any) -> Iterator[Event]:
    """A job an event; its position says which job it is, by its number among the asked or by the time of its last update."""
    for number, job in enumerate(jobs, 1):
        place = f"{number:016x}" if wanted.job_ids else job.place
        items = [item for item in job.items if wanted.holds(item)]
        done()
        yield Event(position_from(ClusterTime(0))._replace(place=place), items, origin=REPLAY)


def _print(events: Iterator[Event], stop: threading.Event) -> int:
    count = 0
    for event in events:
        if stop.is_set():
            return _INTERRUPTED
        for item in event.items:
            if isinstance(item, Transition):
                click.echo(value_of(item).decode())
                count += 1
    click.echo(f"{count} messages would be sent; nothing was", err=True)
    return 0


def _rest(wanted: _Wanted, reached: Position) -> str:
    """The command that goes on behind what Kafka has."""
    states = "".join(f" --state {state}" for state in wanted.states)
    until = f" --to {_iso(wanted.until)}" if wanted.until is not None else ""
    since = f" --from {_iso(wanted.since)}" if wanted.since is not None else ""
    if wanted.job_ids:
        left = wanted.job_ids[int(reached.place or "0", 16) :]
        jobs = "".join(f" --job {job_id}" for job_id in islice(left, _SHOWN))
        more = f"  (and {len(left) - _SHOWN} more)" if len(left) > _SHOWN else ""
        return f"job-bridge replay{jobs}{since}{until}{states}{more}"
    from bridge.source.documents import time_in

    updated = time_in(reached.place)[1] if reached.place else wanted.updated
    go_on = f" --updated-from {_iso(updated)}" if updated is not None else ""
    return f"job-bridge replay{since}{until}{states}{go_on}"


def _iso(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0.0, timezone.utc).isoformat()
