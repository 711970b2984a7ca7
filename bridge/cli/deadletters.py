"""``job-bridge dead-letters``: lists, shows and retries dead letters."""

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from bridge.app.signals import on_stop
from bridge.cli.output import PRINT_MESSAGES, dry_run_option, json_option, print_json, print_table
from bridge.cli.settings import JOBS, KAFKA, Settings, with_settings_of
from bridge.cli.times import when
from bridge.clock import iso
from bridge.errors import NotFound, Retryable, Usage, one_line
from bridge.model.dead_letter import DeadLetter, transition_of
from bridge.model.message import Record, fields_of, value_of
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import RETRY, Event, Transition

#: The place of a letter in its topic.
_LOCATION = re.compile(r"\d+:\d+", re.A)


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
@json_option("Print a JSON document per line.")
@with_settings_of(*KAFKA)
def list_(settings: Settings, since: str | None, as_json: bool) -> None:
    """List dead letters, oldest first.

    The first column, partition:offset, is the argument of 'show' and 'retry'.

    \b
    Example:
      job-bridge dead-letters list --since 7d
    """
    start = when("--since", since).timestamp() if since is not None else None
    letters = _read(settings, start)
    if as_json:
        for letter in letters:
            print_json(_document(letter))
    elif letters:
        print_table(("PLACE", "WRITTEN", "JOB", "REASON", "STATE"), [*map(_row, letters)])
    else:
        click.echo(f"no dead letters in {settings.kafka.topic}-dlq", err=True)


def _row(letter: DeadLetter) -> Sequence[str]:
    texts = (one_line(letter.text(name)) or "-" for name in ("job_id", "error_dlq", "state"))
    return (letter.location, letter.written, *texts)


@dead_letters.command()
@click.argument("location", metavar="PARTITION:OFFSET")
@json_option("Print it on a single line, and an error as JSON.")
@with_settings_of(*KAFKA)
def show(settings: Settings, location: str, as_json: bool) -> None:
    """Show a whole dead letter, with its headers, as JSON.

    \b
    Example:
      job-bridge dead-letters show 0:15
    """
    (letter,) = _at_locations(_read(settings, None), [location])
    click.echo(json.dumps(_document(letter), indent=None if as_json else 1))


@dead_letters.command()
@click.argument("locations", metavar="PARTITION:OFFSET...", nargs=-1)
@click.option(
    "--all", "all_letters", is_flag=True, help="All dead letters, or all newer than --since."
)
@click.option("--since", metavar="WHEN", help="With --all: only newer dead letters; see 'list'.")
@dry_run_option(PRINT_MESSAGES)
@json_option(
    "Print a last line {topic, dry_run, transitions, sent, dead_lettered, unsendable, finished} "
    "as JSON."
)
@with_settings_of(*JOBS, *KAFKA, "kafka.headers")
def retry(
    settings: Settings,
    locations: tuple[str, ...],
    all_letters: bool,
    since: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Send dead-lettered transitions again, after their cause was fixed.

    Each transition is read from its job; if the job was deleted, from the dead letter. It is sent
    with its own identity (trans_id), and ce_origin retry. Several dead letters of a transition
    count once. They stay in their topic: a second retry sends duplicates, which consumers
    recognise by trans_id. A message that is still too large writes no further dead letter.
    Exits 0 if all were sent, else 75.

    \b
    Example:
      job-bridge dead-letters retry 0:15 0:16
    """
    if bool(locations) == all_letters:
        raise Usage("give either PARTITION:OFFSET or --all", "Nothing was sent")
    start = when("--since", since).timestamp() if since is not None else None
    letters = _read(settings, start)
    chosen = letters if all_letters else _at_locations(letters, locations)
    result = _retry(settings, [*{letter.identity: letter for letter in chosen}.values()], dry_run)
    result.report(settings.kafka.topic, as_json=as_json)
    return 0 if result.all_sent else Retryable.exit_code


#: A letter, and why its transition cannot be sent.
Unsendable = tuple[DeadLetter, str]


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a retry.

    Attributes:
        dry_run: Whether the messages were printed only.
        transitions: The transitions that can be sent.
        dead_lettered: How many of them were dead-lettered again.
        unsendable: The other letters, which stay as they are.
        finished: Whether it reached its end.
    """

    dry_run: bool
    transitions: Sequence[Transition]
    dead_lettered: int
    unsendable: Sequence[Unsendable]
    finished: bool

    @property
    def all_sent(self) -> bool:
        return self.finished and not self.dead_lettered and not self.unsendable

    @property
    def _sent(self) -> int | None:
        """How many messages Kafka acknowledged; None if that is not known."""
        if self.dry_run:
            return 0
        return len(self.transitions) - self.dead_lettered if self.finished else None

    def report(self, topic: str, *, as_json: bool) -> None:
        """Print the messages of a dry run, and the result."""
        if self.dry_run:
            for transition in self.transitions:
                click.echo(value_of(transition).decode())
        if as_json:
            print_json(self._document(topic))
        else:
            self._print(topic)

    def _document(self, topic: str) -> dict[str, object]:
        return {
            "topic": topic,
            "dry_run": self.dry_run,
            "transitions": len(self.transitions) + len(self.unsendable),
            "sent": self._sent,
            "dead_lettered": self.dead_lettered,
            "unsendable": [
                {"place": letter.location, "reason": reason} for letter, reason in self.unsendable
            ],
            "finished": self.finished,
        }

    def _print(self, topic: str) -> None:
        for letter, reason in self.unsendable:
            _report_unsendable(letter, reason)
        count = len(self.transitions)
        total = count + len(self.unsendable)
        if self.dry_run:
            click.echo(f"{count} messages would be sent; nothing was sent", err=True)
            return
        if self.dead_lettered:
            click.echo(f"{self.dead_lettered} transition(s) were dead-lettered again", err=True)
        if self.finished:
            click.echo(f"{self._sent} of {total} transition(s) sent to {topic}")
        else:
            click.echo(f"stopped: not all of {total} transition(s) were sent to {topic}")


def _retry(settings: Settings, letters: Sequence[DeadLetter], dry_run: bool) -> _Result:
    from bridge.app.wiring import open_republisher, open_source_and_store

    stop = threading.Event()
    by_identity: dict[tuple[str, ...], tuple[Transition, DeadLetter]] = {}
    unsendable: list[Unsendable] = []
    with open_source_and_store(settings) as (source, _), on_stop(stop.set):
        for letter in letters:
            jobs = source.history.by_ids([letter.text("job_id")])
            if (item := transition_of(letter, jobs)) is not None:
                by_identity[item.job_id, item.trans_id, item.state] = item, letter
            else:
                unsendable.append((letter, letter.reason))
        letter_of = dict(by_identity.values())
        if dry_run:
            return _Result(True, list(letter_of), 0, unsendable, finished=True)
        with open_republisher(settings, stop) as republisher:
            # Their letters stay; publishing them would write another letter each time.
            refusals = {item: republisher.refusal_of(item, RETRY) for item in letter_of}
            unsendable += [(letter_of[item], why) for item, why in refusals.items() if why]
            sendable = [item for item, why in refusals.items() if not why]
            finished = republisher.run(
                Event(position_before(ClusterTime(0)), (item,), origin=RETRY) for item in sendable
            )
            lettered = republisher.dead_lettered
    return _Result(False, sendable, lettered, unsendable, finished=finished)


def _report_unsendable(letter: DeadLetter, reason: str) -> None:
    advice = (
        ""
        if letter.text("job_id")
        else ". The dead letter has no job id: give the job an id, "
        "then 'job-bridge replay --job ID' sends it"
    )
    click.echo(one_line(f"{letter.location}: still cannot be sent: {reason}{advice}"), err=True)


def _read(settings: Settings, since: float | None) -> list[DeadLetter]:
    """Read the dead letters, oldest first."""
    from bridge.kafka.drivers import driver_of

    with driver_of(settings).reader(settings) as reader:
        records = [
            record
            for batch in reader.read(f"{settings.kafka.topic}-dlq", since)
            for record in batch
            # Kafka finds the first offset; times of later records may be older.
            if since is None or record.timestamp >= since
        ]
    records.sort(key=lambda record: (record.timestamp, record.partition, record.offset))
    return [_dead_letter(record) for record in records]


def _dead_letter(record: Record) -> DeadLetter:
    fields = fields_of(record.value)
    return DeadLetter(
        f"{record.partition}:{record.offset}",
        iso(record.timestamp),
        {"error_dlq": "not a dead letter of this bridge"} if fields is None else fields,
        {name: (value or b"").decode(errors="replace") for name, value in record.headers},
    )


def _at_locations(letters: Sequence[DeadLetter], locations: Sequence[str]) -> list[DeadLetter]:
    odd = [location for location in locations if not _LOCATION.fullmatch(location)]
    if odd:
        raise Usage(f"not PARTITION:OFFSET, such as 0:15: {', '.join(odd)}", "Nothing was sent")
    by_location = {letter.location: letter for letter in letters}
    unknown = [location for location in locations if location not in by_location]
    if unknown:
        raise NotFound(
            f"there is no dead letter at {', '.join(unknown)}",
            "Nothing was sent",
            "'job-bridge dead-letters list' shows the existing ones",
        )
    return [by_location[location] for location in locations]


def _document(letter: DeadLetter) -> dict[str, Any]:
    location, written = letter.location, letter.written
    return {"place": location, "at": written, **letter.fields, "headers": letter.headers}
