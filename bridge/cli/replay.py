"""``job-bridge replay``: publishes again what the jobs tell."""

import math
import re
import shlex
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import click
from click.core import ParameterSource

from bridge.app.signals import on_stop
from bridge.cli import INTERRUPTED
from bridge.cli.progress import bars
from bridge.cli.settings import Settings, with_settings
from bridge.cli.times import span, when
from bridge.errors import Usage
from bridge.model.gap import unix_time_of
from bridge.model.message import value_of
from bridge.model.position import ClusterTime, Position, position_before
from bridge.model.transition import REPLAY, Event, Transition

#: Jobs that are looked up, and put into the asked order, at once.
_AT_ONCE = 500
#: Jobs a second below which a replay would never end: once in ten days.
_SLOWEST = 1e-6
#: Places in the order of the jobs that are no times of an ordinary kind; only we write them.
_PLACE = re.compile(r"[a-z][0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which transitions; None and empty are all. ``updated`` and ``place`` leave out jobs that come before them in the order of updates."""

    job_ids: Sequence[str]
    since: float | None
    until: float | None
    states: Sequence[str]
    updated: float | None
    place: str = ""

    @property
    def begin(self) -> float | None:
        """Jobs that were last updated before this have nothing that is wanted, or were done already."""
        return max(
            (moment for moment in (self.since, self.updated) if moment is not None), default=None
        )

    def holds(self, item: object) -> bool:
        if not isinstance(item, Transition) or (self.states and item.state not in self.states):
            return False
        moment = unix_time_of(item)
        return (self.since is None or moment >= self.since) and (
            self.until is None or moment <= self.until
        )


@click.command()
@click.option(
    "--job", "job_ids", metavar="ID", multiple=True, help="only this job; may be given again"
)
@click.option(
    "--since", metavar="WHEN", help="from when on: 24h, 7d, or an ISO 8601 time with its zone"
)
@click.option("--from", "begin", metavar="WHEN", help="the same, for use with --to")
@click.option("--to", "end", metavar="WHEN", help="up to when, alone or with --from; default: now")
@click.option(
    "--state",
    "states",
    metavar="S",
    multiple=True,
    help="only transitions to this state; may be given again",
)
@click.option(
    "--updated-from",
    "updated",
    metavar="WHEN",
    help="leave out jobs last updated before: an interrupted replay tells when to go on",
)
@click.option("--topic", help="another topic than kafka.topic")
@click.option("--dry-run", is_flag=True, help="print the messages instead of sending them")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0.0,
    help="at most so many jobs a second; default: as fast as it goes",
)
@with_settings
def replay(
    settings: Settings,
    job_ids: tuple[str, ...],
    since: str | None,
    begin: str | None,
    end: str | None,
    states: tuple[str, ...],
    updated: str | None,
    topic: str | None,
    dry_run: bool,
    rate: float,
) -> int:
    """Publish again, from the jobs' history: a job's transitions in order, with their identity, and ce_origin replay.

    Touches no checkpoint. The first Ctrl-C ends it cleanly and tells how to go on.

    \b
    Example:
      job-bridge replay --from 2026-03-02T18:00:00+00:00 --to 2026-03-02T19:00:00+00:00 --state complete
      job-bridge replay --job 6e7f6e1c-8f0e-4e4e-9d39-0b7e0a6b1c11 --dry-run
    """
    first, last = span(since, begin, end)
    if not (job_ids or first or end or states):
        raise Usage("say what to replay: --job, --from, --since or --to, or --state")
    if not (rate == 0 or _SLOWEST <= rate < math.inf):
        raise Usage(
            f"--rate: {rate} is no number of jobs a second: 0 is as fast as it goes, else {_SLOWEST:f} and more"
        )
    wanted = _Wanted(
        tuple(dict.fromkeys(job_ids)),
        first.timestamp() if first else None,
        last.timestamp() if end else None,
        states,
        *_reached(updated),
    )
    return _replay(_to(settings, topic), wanted, dry_run, rate)


def _reached(updated: str | None) -> tuple[float | None, str]:
    """What ``--updated-from`` says: a time, or a place that an interrupted replay printed."""
    if updated is None or _PLACE.fullmatch(updated):
        return None, updated or ""
    return when("--updated-from", updated).timestamp(), ""


def _to(settings: Settings, topic: str | None) -> Settings:
    if topic is None:
        return settings
    from bridge.settings.schema import Kafka

    try:
        kafka = Kafka.model_validate({**settings.kafka.model_dump(), "topic": topic})
    except ValueError as error:
        problem: Any = error  # pydantic's, whose own text has many lines
        words = str(problem.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise Usage(f"--topic: {words}", "Nothing was sent") from None
    return settings.model_copy(update={"kafka": kafka})


def _replay(settings: Settings, wanted: _Wanted, dry_run: bool, rate: float) -> int:
    from bridge.app.wiring import open_republisher, open_source_and_store

    stop = threading.Event()
    with open_source_and_store(settings) as (source, _), on_stop(stop.set):
        history, ids = source.history, wanted.job_ids
        total = len(ids) if ids else history.count(wanted.begin, wanted.place)
        with bars({"jobs": total}) as advance:
            jobs = _asked(history, ids) if ids else _updated(history, wanted)
            events = _events(jobs, wanted, lambda: advance("jobs", 1))
            if dry_run:
                return _print(events, stop)
            with open_republisher(settings, stop, rate) as resend:
                whole = resend.run(events)
                reached, sent = resend.window.position, resend.counters.settled
        click.echo(f"{sent} messages sent to {settings.kafka.topic}")
    if whole and ids and not sent:
        click.echo("no transition of these jobs was found", err=True)
    if not whole and (rest := _rest(wanted, reached)):
        click.echo(f"stopped; to go on: {rest}", err=True)
        return INTERRUPTED
    return 0


#: A place, and the jobs that are done when it is reached.
_Step = tuple[str, Sequence[Any]]


def _asked(history: Any, ids: Sequence[str]) -> Iterator[_Step]:
    """The jobs in the order in which they were asked for, each with the number of ids that are done then."""
    for begin in range(0, len(ids), _AT_ONCE):
        chunk = ids[begin : begin + _AT_ONCE]
        found: dict[str, list[Any]] = {}
        for job in history.by_ids(chunk):
            found.setdefault(job.job_id, []).append(job)
        # First those that MongoDB knows by another spelling: whoever stops before the end of them begins the chunk again.
        if other := [job for name in found.keys() - set(chunk) for job in found[name]]:
            yield f"{begin:016x}", other
        yield from (
            (f"{number:016x}", found.get(name, ())) for number, name in enumerate(chunk, begin + 1)
        )


def _updated(history: Any, wanted: _Wanted) -> Iterator[_Step]:
    return ((job.recovery_cursor, (job,)) for job in history.jobs(wanted.begin, wanted.place))


def _events(steps: Iterator[_Step], wanted: _Wanted, done: Any) -> Iterator[Event]:
    """A job an event, whose position says what is done with it: the place of its step."""
    for place, jobs in steps:
        items = [item for job in jobs for item in job.items if wanted.holds(item)]
        done()
        yield Event(
            position_before(ClusterTime(0))._replace(recovery_cursor=place), items, origin=REPLAY
        )


def _print(events: Iterator[Event], stop: threading.Event) -> int:
    count = 0
    for event in events:
        if stop.is_set():
            return INTERRUPTED
        for item in event.items:
            if isinstance(item, Transition):
                click.echo(value_of(item).decode())
                count += 1
    click.echo(f"{count} messages would be sent; nothing was", err=True)
    return 0


def _rest(wanted: _Wanted, reached: Position) -> str:
    """The command that goes on behind what Kafka has; empty when nothing is left."""
    changed: dict[str, Sequence[str]] = {
        "since": (),
        "begin": _given(wanted.since),
        "end": _given(wanted.until),
    }
    if wanted.job_ids:
        changed["job_ids"] = wanted.job_ids[int(reached.recovery_cursor or "0", 16) :]
        return _again(changed) if changed["job_ids"] else ""
    if updated := _go_on(reached.recovery_cursor):
        changed["updated"] = (updated,)
    return _again(changed)


def _go_on(place: str) -> str:
    """What ``--updated-from`` is to be; empty where nothing is safe to leave out.

    Dates are the last of MongoDB's kinds of times, so only behind them does a time say what is left.
    """
    from bridge.mongo.job_documents import DATE, time_in

    if not _PLACE.fullmatch(place) or not (seconds := time_in(place)[1]):
        return ""  # a job without a time, or one from before there were any, of which there may be more
    return _iso(seconds) if place.startswith(DATE) else place


def _again(changed: Mapping[str, Sequence[str]]) -> str:
    """This command line once more, as a shell reads it, with other values where something changed."""
    context = click.get_current_context()
    words = ["job-bridge", "replay"]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = (
            context.params.get(name)
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            else ()
        )
        for value in changed.get(name, given if isinstance(given, tuple) else (given,)):
            words += [
                parameter.opts[0],
                _without_secrets(value) if name == "mongo_uri" else str(value),
            ]
    return shlex.join(words)


def _without_secrets(uri: str) -> str:
    """No output holds a password: whoever gave it puts it back."""
    uri = re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:PASSWORD@", uri)
    return re.sub(r"(?i)(password=|token:)[^&,]*", r"\1PASSWORD", uri)


def _given(seconds: float | None) -> Sequence[str]:
    return () if seconds is None else (_iso(seconds),)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
