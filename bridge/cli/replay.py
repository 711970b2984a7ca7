"""``job-bridge replay``: publishes transitions again, from the jobs' history."""

import math
import re
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
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

#: The number of jobs that are looked up together, and put into the order of the options.
_CHUNK_JOBS = 500
#: The lowest rate in jobs per second: a job in ten days.
_MIN_RATE = 1e-6
#: A recovery cursor; only our own output contains them, for update times that are not dates.
_CURSOR = re.compile(r"[a-z][0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class _Selection:
    """The transitions to publish; None and empty select all.

    job_ids: Only these jobs, in this order.
    since, until: Only transitions of this time span, in Unix seconds.
    states: Only transitions to these states.
    updated: Only jobs that were last updated at this time or later (Unix seconds).
    cursor: Only jobs after this recovery cursor.
    """

    job_ids: Sequence[str]
    since: float | None
    until: float | None
    states: Sequence[str]
    updated: float | None
    cursor: str = ""

    @property
    def updated_since(self) -> float | None:
        """Jobs last updated before this contain no selected transition, or were done before."""
        return max(
            (moment for moment in (self.since, self.updated) if moment is not None), default=None
        )

    def contains(self, item: object) -> bool:
        if not isinstance(item, Transition) or (self.states and item.state not in self.states):
            return False
        moment = unix_time_of(item)
        return (self.since is None or moment >= self.since) and (
            self.until is None or moment <= self.until
        )


@click.command()
@click.option(
    "--job", "job_ids", metavar="ID", multiple=True, help="Only this job; may be repeated."
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Start of the time span: 24h, 7d, or an ISO 8601 time with a zone.",
)
@click.option(
    "--from", "begin", metavar="WHEN", help="The same as --since; reads better with --to."
)
@click.option("--to", "end", metavar="WHEN", help="End of the time span. Default: now.")
@click.option(
    "--state",
    "states",
    metavar="S",
    multiple=True,
    help="Only transitions to this state; may be repeated.",
)
@click.option(
    "--updated-from",
    "updated",
    metavar="WHEN",
    help="Leave out jobs last updated before this. An interrupted replay prints the value to "
    "resume with.",
)
@click.option("--topic", help="Topic to publish to, instead of kafka.topic.")
@click.option("--dry-run", is_flag=True, help="Print the messages instead of sending them.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0.0,
    help="The most jobs per second. Default: no limit.",
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
    """Publish transitions again, from the jobs' history.

    Each job's transitions are sent in order, with their own identity (trans_id), and ce_origin
    replay. The checkpoint is not changed. The first Ctrl-C ends the replay cleanly, and prints the
    command that resumes it.

    \b
    Example:
      job-bridge replay --from 2026-03-02T18:00:00+00:00 --to 2026-03-02T19:00:00+00:00 --state complete
      job-bridge replay --job 6e7f6e1c-8f0e-4e4e-9d39-0b7e0a6b1c11 --dry-run
    """
    first, last = span(since, begin, end)
    if not (job_ids or first or end or states):
        raise Usage(
            "nothing is selected",
            "Nothing was sent",
            "Give --job, --since, --from, --to or --state",
        )
    if not (rate == 0 or _MIN_RATE <= rate < math.inf):
        raise Usage(
            f"--rate: {rate} is not a possible number of jobs per second: "
            f"0 for no limit, else at least {_MIN_RATE:f}"
        )
    selection = _Selection(
        tuple(dict.fromkeys(job_ids)),
        first.timestamp() if first else None,
        last.timestamp() if end else None,
        states,
        *_resume_at(updated),
    )
    return _replay(_with_topic(settings, topic), selection, dry_run, rate)


def _resume_at(updated: str | None) -> tuple[float | None, str]:
    """Read ``--updated-from``: a time, or the cursor that an interrupted replay printed."""
    if updated is None or _CURSOR.fullmatch(updated):
        return None, updated or ""
    return when("--updated-from", updated).timestamp(), ""


def _with_topic(settings: Settings, topic: str | None) -> Settings:
    if topic is None:
        return settings
    from bridge.settings.schema import Kafka

    try:
        kafka = Kafka.model_validate({**settings.kafka.model_dump(), "topic": topic})
    except ValueError as error:
        invalid: Any = error  # A pydantic error, whose own text has many lines.
        reason = str(invalid.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise Usage(f"--topic: {reason}", "Nothing was sent") from None
    return settings.model_copy(update={"kafka": kafka})


def _replay(settings: Settings, selection: _Selection, dry_run: bool, rate: float) -> int:
    from bridge.app.wiring import open_republisher, open_source_and_store

    stop = threading.Event()
    with open_source_and_store(settings) as (source, _), on_stop(stop.set):
        history, ids = source.history, selection.job_ids
        total = len(ids) if ids else history.count(selection.updated_since, selection.cursor)
        with bars({"jobs": total}) as advance:
            steps = _by_ids(history, ids) if ids else _by_update_time(history, selection)
            events = _events(steps, selection, lambda: advance("jobs", 1))
            if dry_run:
                return _print(events, stop)
            with open_republisher(settings, stop, rate) as republisher:
                finished = republisher.run(events)
                reached, sent = republisher.window.position, republisher.counters.settled
        click.echo(f"{sent} messages sent to {settings.kafka.topic}")
    if finished and ids and not sent:
        click.echo("these jobs have no matching transition", err=True)
    if not finished and (rest := _resume_command(selection, reached)):
        click.echo(f"stopped; to resume: {rest}", err=True)
        return INTERRUPTED
    return 0


#: A cursor, and the jobs that are done when it is reached.
_Step = tuple[str, Sequence[Any]]


def _by_ids(history: Any, ids: Sequence[str]) -> Iterator[_Step]:
    """Return the jobs in the order of ``ids``; the cursor is the number of ids that are done."""
    for begin in range(0, len(ids), _CHUNK_JOBS):
        chunk = ids[begin : begin + _CHUNK_JOBS]
        jobs: dict[str, list[Any]] = {}
        for job in history.by_ids(chunk):
            jobs.setdefault(job.job_id, []).append(job)
        # MongoDB may store an id with another spelling. These jobs come first, so that a replay
        # that stops before their end repeats the chunk.
        if other := [job for job_id in jobs.keys() - set(chunk) for job in jobs[job_id]]:
            yield f"{begin:016x}", other
        yield from (
            (f"{number:016x}", jobs.get(job_id, ()))
            for number, job_id in enumerate(chunk, begin + 1)
        )


def _by_update_time(history: Any, selection: _Selection) -> Iterator[_Step]:
    jobs = history.jobs(selection.updated_since, selection.cursor)
    return ((job.recovery_cursor, (job,)) for job in jobs)


def _events(
    steps: Iterator[_Step], selection: _Selection, advance: Callable[[], None]
) -> Iterator[Event]:
    """Return an event for each step; its position contains the cursor of the step."""
    for cursor, jobs in steps:
        items = [item for job in jobs for item in job.items if selection.contains(item)]
        advance()
        position = position_before(ClusterTime(0))._replace(recovery_cursor=cursor)
        yield Event(position, items, origin=REPLAY)


def _print(events: Iterator[Event], stop: threading.Event) -> int:
    count = 0
    for event in events:
        if stop.is_set():
            return INTERRUPTED
        for item in event.items:
            if isinstance(item, Transition):
                click.echo(value_of(item).decode())
                count += 1
    click.echo(f"{count} messages would be sent; nothing was sent", err=True)
    return 0


def _resume_command(selection: _Selection, reached: Position) -> str:
    """Return the command for the jobs that Kafka does not have; empty if it has all."""
    changed: dict[str, Sequence[str]] = {
        "since": (),
        "begin": _option_values(selection.since),
        "end": _option_values(selection.until),
    }
    if selection.job_ids:
        changed["job_ids"] = selection.job_ids[int(reached.recovery_cursor or "0", 16) :]
        return _command_line(changed) if changed["job_ids"] else ""
    if updated := _updated_from(reached.recovery_cursor):
        changed["updated"] = (updated,)
    return _command_line(changed)


def _updated_from(cursor: str) -> str:
    """Return the value for ``--updated-from``; empty if no job can be left out safely.

    MongoDB sorts dates after all other types of times, so a time is enough for dates only.
    """
    from bridge.mongo.job_documents import DATE, time_in

    if not _CURSOR.fullmatch(cursor) or not (seconds := time_in(cursor)[1]):
        return ""  # Several jobs may share this cursor: those without a time, or before 1970.
    return _iso(seconds) if cursor.startswith(DATE) else cursor


def _command_line(changed: Mapping[str, Sequence[str]]) -> str:
    """Return this command line, quoted for a shell, with the changed options."""
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
    """Replace passwords, because no output may contain them; the operator puts them back."""
    uri = re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:PASSWORD@", uri)
    return re.sub(r"(?i)(password=|token:)[^&,]*", r"\1PASSWORD", uri)


def _option_values(seconds: float | None) -> Sequence[str]:
    return () if seconds is None else (_iso(seconds),)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
