"""``job-bridge dead-letters``: lists, shows and retries dead letters."""

import json
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import click

from bridge.app.signals import on_stop
from bridge.cli.settings import JOBS, KAFKA, Settings, with_settings_of
from bridge.cli.times import when
from bridge.errors import Retryable, Usage, one_line
from bridge.model.dead_letter import DeadLetter, transition_of
from bridge.model.message import Record, fields_of
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import RETRY, Event, Transition


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show and retry the transitions that could not be sent."""


@dead_letters.command("list")
@click.option(
    "--since",
    metavar="WHEN",
    help="Only newer dead letters: 24h, 7d, or an ISO 8601 time with a zone. "
    "Default: all in the topic.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document per line.")
@with_settings_of(*KAFKA)
def list_(settings: Settings, since: str | None, as_json: bool) -> None:
    """List dead letters, oldest first.

    The columns are partition:offset, time, job, state and reason.

    \b
    Example:
      job-bridge dead-letters list --since 7d
    """
    start = when("--since", since).timestamp() if since is not None else None
    letters = _read(settings, start)
    for letter in letters:
        if as_json:
            click.echo(json.dumps(_document(letter)))
        else:
            job, state, reason = (
                one_line(letter.text(name)) or "-" for name in ("job_id", "state", "error_dlq")
            )
            click.echo(f"{letter.location:9} {letter.written}  {job:36} {state:20} {reason}")
    if not letters and not as_json:
        click.echo(f"no dead letters in {settings.kafka.topic}-dlq", err=True)


@dead_letters.command()
@click.argument("location", metavar="PARTITION:OFFSET")
@with_settings_of(*KAFKA)
def show(settings: Settings, location: str) -> None:
    """Show a whole dead letter, with its headers.

    \b
    Example:
      job-bridge dead-letters show 0:15
    """
    (letter,) = _at_locations(_read(settings, None), [location])
    click.echo(json.dumps(_document(letter), indent=1))


@dead_letters.command()
@click.argument("locations", metavar="PARTITION:OFFSET...", nargs=-1)
@click.option(
    "--all", "all_letters", is_flag=True, help="All dead letters, or all newer than --since."
)
@click.option("--since", metavar="WHEN", help="With --all: only newer dead letters; see 'list'.")
@with_settings_of(*JOBS, *KAFKA, "kafka.headers")
def retry(
    settings: Settings, locations: tuple[str, ...], all_letters: bool, since: str | None
) -> int:
    """Send dead-lettered transitions again, after their cause was fixed.

    Each transition is read from its job; if the job was deleted, from the dead letter. It is sent
    with its own identity (trans_id), and ce_origin retry. Several dead letters of a transition
    count once. They stay in their topic: a second retry sends duplicates, which consumers
    recognise by trans_id. Exits 0 if all were sent, else 75.

    \b
    Example:
      job-bridge dead-letters retry 0:15 0:16
    """
    if bool(locations) == all_letters:
        raise Usage("give either PARTITION:OFFSET or --all", "Nothing was sent")
    start = when("--since", since).timestamp() if since is not None else None
    letters = _read(settings, start)
    chosen = letters if all_letters else _at_locations(letters, locations)
    return _retry(settings, [*{letter.identity: letter for letter in chosen}.values()])


def _retry(settings: Settings, letters: Sequence[DeadLetter]) -> int:
    from bridge.app.wiring import open_republisher, open_source_and_store

    stop = threading.Event()
    with open_source_and_store(settings) as (source, _), on_stop(stop.set):
        transitions: dict[tuple[str, ...], Transition] = {}
        unsendable = 0
        for letter in letters:
            jobs = source.history.by_ids([letter.text("job_id")])
            if (item := transition_of(letter, jobs)) is not None:
                transitions[item.job_id, item.trans_id, item.state] = item
            else:
                _report_unsendable(letter)
                unsendable += 1
        with open_republisher(settings, stop) as republisher:
            finished = republisher.run(
                Event(position_before(ClusterTime(0)), (transition,), origin=RETRY)
                for transition in transitions.values()
            )
            dead_lettered = republisher.dead_lettered
    if dead_lettered:
        click.echo(f"{dead_lettered} transition(s) were dead-lettered again", err=True)
    topic, count = settings.kafka.topic, len(transitions) + unsendable
    if finished:
        sent = len(transitions) - dead_lettered
        click.echo(f"{sent} of {count} transition(s) sent to {topic}")
    else:
        click.echo(f"stopped: not all of {count} transition(s) were sent to {topic}")
    all_sent = finished and not dead_lettered and not unsendable
    return 0 if all_sent else Retryable.exit_code


def _report_unsendable(letter: DeadLetter) -> None:
    advice = (
        ""
        if letter.text("job_id")
        else ". The dead letter has no job id: give the job an id, "
        "then 'job-bridge replay --job ID' sends it"
    )
    click.echo(
        one_line(f"{letter.location}: still cannot be sent: {letter.reason}{advice}"), err=True
    )


def _read(settings: Settings, since: float | None) -> list[DeadLetter]:
    """Read the dead letters, oldest first."""
    from bridge.kafka.drivers import driver_of

    with driver_of(settings).reader(settings) as reader:
        records = [
            record
            for batch in reader.read(f"{settings.kafka.topic}-dlq", since)
            for record in batch
        ]
    records.sort(key=lambda record: (record.timestamp, record.partition, record.offset))
    return [_dead_letter(record) for record in records]


def _dead_letter(record: Record) -> DeadLetter:
    fields = fields_of(record.value)
    written = datetime.fromtimestamp(record.timestamp, timezone.utc)
    return DeadLetter(
        f"{record.partition}:{record.offset}",
        written.isoformat(timespec="seconds"),
        {"error_dlq": "not a dead letter of this bridge"} if fields is None else fields,
        {name: (value or b"").decode(errors="replace") for name, value in record.headers},
    )


def _at_locations(letters: Sequence[DeadLetter], locations: Sequence[str]) -> list[DeadLetter]:
    by_location = {letter.location: letter for letter in letters}
    unknown = [location for location in locations if location not in by_location]
    if unknown:
        raise Usage(
            f"there is no dead letter at {', '.join(unknown)}",
            "Nothing was sent",
            "'job-bridge dead-letters list' shows the existing ones",
        )
    return [by_location[location] for location in locations]


def _document(letter: DeadLetter) -> dict[str, Any]:
    location, written = letter.location, letter.written
    return {"place": location, "at": written, **letter.fields, "headers": letter.headers}
