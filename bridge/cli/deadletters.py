"""``job-bridge dead-letters``: lists, shows and retries dead letters."""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

import click

from bridge.app.signals import on_stop
from bridge.cli.settings import Settings, with_settings
from bridge.cli.times import when
from bridge.errors import Retryable, Usage, one_line
from bridge.model.message import KEPT_CHARACTERS, TOO_LARGE, Record, fields_of
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import RETRY, Event, Transition

#: The text of a ``ce_sequence``, which is below 2**53; ``int()`` fails on thousands of digits.
_SEQUENCE = re.compile(r"[0-9]{1,16}")


class DeadLetter(NamedTuple):
    """A dead letter.

    Attributes:
        location: ``partition:offset`` in the dead-letter topic.
        written: When it was written, in ISO 8601.
        fields: The fields of its value.
        headers: Its headers, as text.
    """

    location: str
    written: str
    fields: dict[str, Any]
    headers: dict[str, str]

    def text(self, name: str) -> str:
        return str(self.fields.get(name) or "")

    @property
    def reason(self) -> str:
        return self.text("error_dlq")

    @property
    def sequence(self) -> str:
        return self.headers.get("ce_sequence", "")

    @property
    def identity(self) -> tuple[str, ...]:
        """Equal for all dead letters of a transition.

        Without a job id the reason is used, because it names the document.
        """
        job_id, trans_id = self.text("job_id"), self.text("trans_id")
        return (
            job_id,
            trans_id or f"{self.sequence} {self.text('state')} {self.text('time')}",
            "" if job_id else self.reason,
        )


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
@with_settings
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
@with_settings
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
@with_settings
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
        transitions: list[Transition] = []
        for letter in letters:
            jobs = source.history.by_ids([letter.text("job_id")])
            transition = _from_job(jobs, letter) or _from_letter(letter)
            if transition is not None:
                transitions.append(transition)
            else:
                _report_unsendable(letter)
        with open_republisher(settings, stop) as republisher:
            finished = republisher.run(
                Event(position_before(ClusterTime(0)), (transition,), origin=RETRY)
                for transition in transitions
            )
            dead_lettered = republisher.dead_lettered
    if dead_lettered:
        click.echo(f"{dead_lettered} transition(s) were dead-lettered again", err=True)
    topic = settings.kafka.topic
    if finished:
        sent = len(transitions) - dead_lettered
        click.echo(f"{sent} of {len(letters)} transition(s) sent to {topic}")
    else:
        click.echo(f"stopped: not all of {len(letters)} transition(s) were sent to {topic}")
    all_sent = finished and not dead_lettered and len(transitions) == len(letters)
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


def _from_job(jobs: Iterator[Any], letter: DeadLetter) -> Transition | None:
    """Return the transition of a dead letter from its job, or None.

    Without a history, this is the job's latest state, if it is the state of the dead letter.
    """
    return next(
        (
            item
            for job in jobs
            for item in job.items
            if isinstance(item, Transition) and _is_of(item, letter)
        ),
        None,
    )


def _is_of(item: Transition, letter: DeadLetter) -> bool:
    if letter.text("trans_id"):
        return item.trans_id == letter.text("trans_id")
    if item.sequence is None:
        return item.state == letter.text("state")
    return str(item.sequence) == letter.sequence


def _from_letter(letter: DeadLetter) -> Transition | None:
    """Rebuild the transition from the dead letter; None if a field is missing or was truncated."""
    fields = [letter.text(name) for name in ("job_id", "state", "time", "trans_id")]
    if not letter.reason.startswith(TOO_LARGE):
        return None  # Fields of another type were made text, so the message would be wrong.
    if not all(0 < len(text) < KEPT_CHARACTERS for text in fields):
        return None
    job_id, state, time, trans_id = fields
    try:
        zone = datetime.fromisoformat(time).tzinfo
    except ValueError:
        return None
    if zone is None:
        return None
    sequence = int(letter.sequence) if _SEQUENCE.fullmatch(letter.sequence) else None
    return Transition(job_id, state, time, trans_id, sequence)


def _document(letter: DeadLetter) -> dict[str, Any]:
    location, written = letter.location, letter.written
    return {"place": location, "at": written, **letter.fields, "headers": letter.headers}
