"""``job-bridge replay``: publishes transitions again, from the jobs' history."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

import click

from bridge.app.signals import on_stop
from bridge.cli import INTERRUPTED
from bridge.cli.output import dry_run_option, json_option, print_json
from bridge.cli.progress import bars
from bridge.cli.selection import CURSOR, Selection, resume_command
from bridge.cli.settings import JOBS, KAFKA, Settings, with_settings_of
from bridge.cli.times import span, when
from bridge.errors import NotFound, Usage
from bridge.model.message import value_of
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import REPLAY, Event, Transition

#: The number of jobs that are looked up together, and put into the order of the options.
_CHUNK_JOBS = 500
#: The lowest rate in jobs per second: a job in ten days.
_MIN_RATE = 1e-6


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
@dry_run_option("Print the messages instead of sending them.")
@json_option(
    "Print a last line {topic, dry_run, messages, finished, unknown_jobs, resume} as JSON."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Maximum number of jobs per second. Default: no limit.",
)
@with_settings_of(*JOBS, *KAFKA, "kafka.headers")
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
    as_json: bool,
    rate: float,
) -> int:
    """Publish transitions again, from the jobs' history.

    Each job's transitions are sent in order, with their own identity (trans_id), and ce_origin
    replay. The checkpoint is not changed. The first Ctrl-C ends the replay cleanly, and prints the
    command that resumes it. Exits 66 if a --job does not exist, after all others were sent, or if
    no transition matches.

    \b
    Example:
      job-bridge replay --from 2026-03-02T18:00:00Z --to 2026-03-02T19:00:00Z --state complete
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
    selection = Selection(
        tuple(dict.fromkeys(job_ids)),
        first.timestamp() if first else None,
        last.timestamp() if end else None,
        states,
        *_resume_at(updated),
    )
    settings, printed = _with_topic(settings, topic), _Printed(dry_run, as_json)
    return _replay(settings, selection, printed, rate)


def _resume_at(updated: str | None) -> tuple[float | None, str]:
    """Read ``--updated-from``: a time, or the cursor that an interrupted replay printed."""
    if updated is None or CURSOR.fullmatch(updated):
        return None, updated or ""
    return when("--updated-from", updated).timestamp(), ""


def _with_topic(settings: Settings, topic: str | None) -> Settings:
    if topic is None:
        return settings
    from bridge.settings.kafka import KafkaSettings

    try:
        kafka = KafkaSettings.model_validate({**settings.kafka.model_dump(), "topic": topic})
    except ValueError as error:
        invalid: Any = error  # A pydantic error, whose own text has many lines.
        reason = str(invalid.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise Usage(f"--topic: {reason}", "Nothing was sent") from None
    return settings.model_copy(update={"kafka": kafka})


@dataclass(frozen=True, slots=True)
class _Printed:
    """The options that decide what is printed; with ``dry_run`` nothing is sent."""

    dry_run: bool
    as_json: bool


def _replay(settings: Settings, selection: Selection, printed: _Printed, rate: float) -> int:
    from bridge.app.wiring import open_republisher, open_source_and_store

    stop, resume = threading.Event(), ""
    with open_source_and_store(settings) as (source, _), on_stop(stop.set):
        history, ids = source.history, selection.job_ids
        total = len(ids) if ids else history.count(selection.updated_since, selection.cursor)
        with bars({"jobs": total}) as advance:
            found = _Found()
            steps = _by_ids(history, ids, found) if ids else _by_update_time(history, selection)
            events = _events(steps, selection, found, lambda: advance("jobs", 1))
            if printed.dry_run:
                count = sum(map(_print, takewhile(lambda _: not stop.is_set(), events)))
                finished = not stop.is_set()
            else:
                with open_republisher(settings, stop, rate) as republisher:
                    finished = republisher.run(events)
                    reached, count = republisher.window.position, republisher.settled
                resume = "" if finished else resume_command(selection, reached)
    result = _Result(count, finished, resume)
    _report(settings, printed, result, found)
    if resume or (printed.dry_run and not finished):
        if found.unknown_ids and not printed.as_json:
            click.echo(_unknown(settings, found), err=True)
        return INTERRUPTED
    _raise_not_found(settings, selection, found, finished)
    return 0


class _Result(NamedTuple):
    """How far a replay got.

    Attributes:
        messages: How many messages were sent, or printed by a dry run.
        finished: Whether it reached its end.
        resume: The command that sends the remaining messages; empty after the end.
    """

    messages: int
    finished: bool
    resume: str


def _report(settings: Settings, printed: _Printed, result: _Result, found: "_Found") -> None:
    if printed.as_json:
        print_json(
            {
                "topic": settings.kafka.topic,
                "dry_run": printed.dry_run,
                **result._asdict(),
                "unknown_jobs": found.unknown_ids,
            }
        )
    elif printed.dry_run:
        if result.finished:
            click.echo(f"{result.messages} messages would be sent; nothing was sent", err=True)
    else:
        click.echo(f"{result.messages} messages sent to {settings.kafka.topic}")
        if result.resume:
            click.echo(f"stopped; to resume: {result.resume}", err=True)


@dataclass(slots=True)
class _Found:
    """The selected transitions so far, and the ids that no job has."""

    transitions: int = 0
    unknown_ids: list[str] = field(default_factory=list)


def _unknown(settings: Settings, found: _Found) -> str:
    from bridge.model.profile import namespace_of

    ids = found.unknown_ids
    jobs = "this job does" if len(ids) == 1 else f"these {len(ids)} jobs do"
    return f"{jobs} not exist in {namespace_of(settings)}: {', '.join(ids)}"


def _raise_not_found(
    settings: Settings, selection: Selection, found: _Found, finished: bool
) -> None:
    """Raise ``NotFound`` for unknown jobs, and for a finished replay that selected nothing.

    A resumed replay may have nothing left to send.
    """
    if found.unknown_ids:
        raise NotFound(
            _unknown(settings, found),
            f"The other jobs have {found.transitions} matching transitions",
            "Check the ids, mongo.database, mongo.collection and jobs.profile",
        )
    if finished and not found.transitions and not (selection.updated or selection.cursor):
        raise NotFound(
            "no transition matches"
            + (": these jobs exist without one" if selection.job_ids else ""),
            "Nothing was sent",
            "Give another time span or state, or check mongo.database, mongo.collection and "
            "jobs.profile",
        )


#: A cursor, and the jobs that are done when it is reached.
_Step = tuple[str, Sequence[Any]]


def _by_ids(history: Any, ids: Sequence[str], found: _Found) -> Iterator[_Step]:
    """Return the jobs in the order of ``ids``; the cursor is the number of ids that are done."""
    for begin in range(0, len(ids), _CHUNK_JOBS):
        chunk = ids[begin : begin + _CHUNK_JOBS]
        jobs: dict[str, list[Any]] = {}
        for job in history.by_ids(chunk):
            jobs.setdefault(job.job_id, []).append(job)
        # MongoDB may store an id with another spelling. These jobs come first, so that a replay
        # that stops before their end repeats the chunk.
        unknown = [job_id for job_id in chunk if job_id not in jobs]
        if respelled := [job for job_id in jobs.keys() - set(chunk) for job in jobs[job_id]]:
            unknown = [job_id for job_id in unknown if not any(history.by_ids([job_id]))]
            yield f"{begin:016x}", respelled
        found.unknown_ids += unknown
        yield from (
            (f"{number:016x}", jobs.get(job_id, ()))
            for number, job_id in enumerate(chunk, begin + 1)
        )


def _by_update_time(history: Any, selection: Selection) -> Iterator[_Step]:
    jobs = history.jobs(selection.updated_since, selection.cursor)
    return ((job.recovery_cursor, (job,)) for job in jobs)


def _events(
    steps: Iterator[_Step], selection: Selection, found: _Found, advance: Callable[[], None]
) -> Iterator[Event]:
    """Return an event for each step; its position contains the cursor of the step."""
    for cursor, jobs in steps:
        items = [item for job in jobs for item in job.items if selection.contains(item)]
        found.transitions += len(items)
        advance()
        position = position_before(ClusterTime(0))._replace(recovery_cursor=cursor)
        yield Event(position, items, origin=REPLAY)


def _print(event: Event) -> int:
    """Print the messages of an event; return how many."""
    transitions = [item for item in event.items if isinstance(item, Transition)]
    for transition in transitions:
        click.echo(value_of(transition).decode())
    return len(transitions)
