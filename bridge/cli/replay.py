"""``job-bridge replay``: publishes transitions again, from the jobs' history."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

import click

from bridge.app.signals import on_stop
from bridge.cli import INTERRUPTED
from bridge.cli.output import PRINT_MESSAGES, dry_run_option, json_option
from bridge.cli.progress import bars
from bridge.cli.replay_report import ReplayResult, Selected
from bridge.cli.selection import CURSOR, Selection, resume_command
from bridge.cli.settings import JOBS, KAFKA, Settings, with_settings_of
from bridge.cli.times import span, when
from bridge.errors import Usage
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
@dry_run_option(PRINT_MESSAGES)
@json_option(
    "Print a last line {topic, dry_run, messages, dead_lettered, finished, resume, unsendable, "
    "examples, unknown_jobs} as JSON; examples names up to 1000 that cannot be sent."
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
    no transition matches; 75 if a selected transition cannot be sent or was dead-lettered.

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
    return _replay(_with_topic(settings, topic), selection, rate, dry_run=dry_run, as_json=as_json)


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


def _replay(
    settings: Settings, selection: Selection, rate: float, *, dry_run: bool, as_json: bool
) -> int:
    from bridge.app.wiring import open_republisher, open_source_and_store

    stop = threading.Event()
    with open_source_and_store(settings) as (source, _), on_stop(stop.set):
        history, ids = source.history, selection.job_ids
        total = len(ids) if ids else history.count(selection.updated_since, selection.cursor)
        with bars({"jobs": total}) as advance:
            selected = Selected()
            steps = _by_ids(history, ids, selected) if ids else _by_update_time(history, selection)
            events = _events(steps, selection, selected, lambda: advance("jobs", 1))
            if dry_run:
                count = sum(map(_print, takewhile(lambda _: not stop.is_set(), events)))
                result = ReplayResult(True, count, 0, not stop.is_set(), "")
            else:
                with open_republisher(settings, stop, rate) as republisher:
                    finished = republisher.run(events)
                sent, letters = republisher.sent, republisher.dead_lettered
                reached = republisher.window.position
                resume = "" if finished else resume_command(selection, reached)
                result = ReplayResult(False, sent, letters, finished, resume)
    if as_json:
        result.print_json(settings.kafka.topic, selected)
    else:
        result.print(settings.kafka.topic, selected)
    if result.resume or (dry_run and not result.finished):
        if selected.unknown_ids and not as_json:
            click.echo(selected.unknown(settings), err=True)
        return INTERRUPTED
    selected.raise_not_found(settings, selection, finished=result.finished)
    return result.exit_code(selected)


#: A cursor, and the jobs that are done when it is reached.
_Step = tuple[str, Sequence[Any]]


def _by_ids(history: Any, ids: Sequence[str], selected: Selected) -> Iterator[_Step]:
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
        selected.unknown_ids += unknown
        yield from (
            (f"{number:016x}", jobs.get(job_id, ()))
            for number, job_id in enumerate(chunk, begin + 1)
        )


def _by_update_time(history: Any, selection: Selection) -> Iterator[_Step]:
    jobs = history.jobs(selection.updated_since, selection.cursor)
    return ((job.recovery_cursor, (job,)) for job in jobs)


def _events(
    steps: Iterator[_Step], selection: Selection, selected: Selected, advance: Callable[[], None]
) -> Iterator[Event]:
    """Return an event for each step; its position contains the cursor of the step."""
    for cursor, jobs in steps:
        items = selected.sendable(
            item for job in jobs for item in job.items if selection.contains(item)
        )
        advance()
        position = position_before(ClusterTime(0))._replace(recovery_cursor=cursor)
        yield Event(position, items, origin=REPLAY)


def _print(event: Event) -> int:
    """Print the messages of an event; return how many."""
    for item in event.items:
        if isinstance(item, Transition):
            click.echo(value_of(item).decode())
    return len(event.items)
