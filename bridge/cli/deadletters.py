"""``job-bridge dead-letters``: what could not be sent, and a second try."""

import json
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


class Letter(NamedTuple):
    """A dead letter: where it is, since when, and what it says."""

    place: str
    at: str
    says: dict[str, Any]
    headers: dict[str, str]

    def text(self, name: str) -> str:
        return str(self.says.get(name) or "")

    @property
    def sequence(self) -> str:
        return self.headers.get("ce_sequence", "")

    @property
    def identity(self) -> tuple[str, ...]:
        """The same for all letters of one transition; of one that names no job, its reason names the document."""
        job_id, trans_id = self.text("job_id"), self.text("trans_id")
        return (
            job_id,
            trans_id or f"{self.sequence} {self.text('state')} {self.text('time')}",
            "" if job_id else self.text("error_dlq"),
        )


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show and retry what was set aside to the topic of dead letters."""


@dead_letters.command("list")
@click.option(
    "--since",
    metavar="WHEN",
    help="from when on: 24h, 7d, or an ISO 8601 time with its zone; default: all that the topic keeps",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON document a line")
@with_settings
def list_(settings: Settings, since: str | None, as_json: bool) -> None:
    """List dead letters, oldest first: place, time, job, state, reason.

    \b
    Example:
      job-bridge dead-letters list --since 7d
    """
    begin = when("--since", since).timestamp() if since is not None else None
    found = _letters(settings, begin)
    for letter in found:
        if as_json:
            click.echo(json.dumps(_document(letter)))
        else:
            job, state, reason = (
                one_line(letter.text(name)) or "-" for name in ("job_id", "state", "error_dlq")
            )
            click.echo(f"{letter.place:9} {letter.at}  {job:36} {state:20} {reason}")
    if not found and not as_json:
        click.echo(f"no dead letters in {settings.kafka.topic}-dlq", err=True)


@dead_letters.command()
@click.argument("place", metavar="PARTITION:OFFSET")
@with_settings
def show(settings: Settings, place: str) -> None:
    """Show one dead letter whole, with its headers.

    \b
    Example:
      job-bridge dead-letters show 0:15
    """
    (letter,) = _chosen(_letters(settings, None), [place])
    click.echo(json.dumps(_document(letter), indent=1))


@dead_letters.command()
@click.argument("places", metavar="PARTITION:OFFSET...", nargs=-1)
@click.option(
    "--all", "everything", is_flag=True, help="every dead letter, or with --since the newer ones"
)
@click.option("--since", metavar="WHEN", help="with --all: from when on")
@with_settings
def retry(settings: Settings, places: tuple[str, ...], everything: bool, since: str | None) -> int:
    """Send again what dead letters tell, when its cause is mended: with the transition's own identity, and ce_origin retry.

    The transition is read from the job, and taken from the letter where the job is gone; of several letters of one
    transition only the last counts. The letters stay in their topic: retrying twice sends twice, and consumers know it by trans_id.
    Exits 0 when all were sent, else 75.

    \b
    Example:
      job-bridge dead-letters retry 0:15 0:16
    """
    if bool(places) == everything:
        raise Usage("say which: PARTITION:OFFSET, or --all", "Nothing was sent")
    begin = when("--since", since).timestamp() if since is not None else None
    letters = _letters(settings, begin)
    chosen = letters if everything else _chosen(letters, places)
    return _retry(settings, [*{letter.identity: letter for letter in chosen}.values()])


def _retry(settings: Settings, letters: Sequence[Letter]) -> int:
    from bridge.app.wiring import open_republisher, open_source_and_store

    stop, hopeless = threading.Event(), 0
    with open_source_and_store(settings) as (source, _), on_stop(stop.set):
        found: list[Transition] = []
        for letter in letters:
            transition = _told(source.history.by_ids([letter.text("job_id")]), letter) or _written(
                letter
            )
            if transition is None:
                hopeless += 1
                click.echo(
                    one_line(
                        f"{letter.place}: still cannot be sent: {letter.text('error_dlq')}{_advice(letter)}"
                    ),
                    err=True,
                )
            else:
                found.append(transition)
        with open_republisher(settings, stop) as resend:
            whole = resend.run(
                Event(position_before(ClusterTime(0)), (one,), origin=RETRY) for one in found
            )
            again = resend.counters.dead_lettered
    if again:
        click.echo(f"{again} were set aside again", err=True)
    click.echo(
        f"{len(found) - again if whole else 'not all'} of {len(letters)} sent to {settings.kafka.topic}"
    )
    return 0 if whole and not (again or hopeless) else Retryable.exit_code


def _advice(letter: Letter) -> str:
    return (
        ""
        if letter.text("job_id")
        else ". The letter names no job: once the job has an id, 'job-bridge replay --job ID' sends it"
    )


def _letters(settings: Settings, since: float | None) -> list[Letter]:
    from bridge.kafka.drivers import driver_of

    with driver_of(settings).reader(settings) as reader:
        records = [
            record
            for batch in reader.read(f"{settings.kafka.topic}-dlq", since)
            for record in batch
        ]
    return [
        _letter(record)
        for record in sorted(records, key=lambda one: (one.timestamp, one.partition, one.offset))
    ]


def _letter(record: Record) -> Letter:
    says = fields_of(record.value)
    at = datetime.fromtimestamp(record.timestamp, timezone.utc).isoformat(timespec="seconds")
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    return Letter(
        f"{record.partition}:{record.offset}",
        at,
        {"error_dlq": "not a dead letter of this bridge"} if says is None else says,
        headers,
    )


def _chosen(letters: Sequence[Letter], places: Sequence[str]) -> list[Letter]:
    known = {letter.place: letter for letter in letters}
    unknown = [place for place in places if place not in known]
    if unknown:
        raise Usage(
            f"there is no dead letter at {', '.join(unknown)}",
            "Nothing was sent",
            "'job-bridge dead-letters list' shows those there are",
        )
    return [known[place] for place in places]


def _told(jobs: Iterator[Any], letter: Letter) -> Transition | None:
    """The transition of the letter as its job tells it now; where no history is kept, the job's latest if it is to the same state."""
    return next(
        (
            item
            for job in jobs
            for item in job.items
            if isinstance(item, Transition) and _is_of(item, letter)
        ),
        None,
    )


def _is_of(item: Transition, letter: Letter) -> bool:
    if letter.text("trans_id"):
        return item.trans_id == letter.text("trans_id")
    if item.sequence is None:
        return item.state == letter.text("state")
    return str(item.sequence) == letter.sequence


def _written(letter: Letter) -> Transition | None:
    """The transition as the letter itself has it, where that is whole: a letter has all as text, also what was none, and shortened."""
    fields = job_id, state, time, trans_id = [
        letter.text(name) for name in ("job_id", "state", "time", "trans_id")
    ]
    if not (
        letter.text("error_dlq").startswith(TOO_LARGE)
        and all(0 < len(text) < KEPT_CHARACTERS for text in fields)
    ):
        return None
    try:
        dated = datetime.fromisoformat(time).tzinfo
    except ValueError:
        return None
    return (
        Transition(
            job_id,
            state,
            time,
            trans_id,
            int(letter.sequence) if letter.sequence.isdecimal() else None,
        )
        if dated
        else None
    )


def _document(letter: Letter) -> dict[str, Any]:
    return {"place": letter.place, "at": letter.at, **letter.says, "headers": letter.headers}
