"""``job-bridge tail``: prints the transitions of the stream, or of a running bridge."""

import json
import threading
from datetime import datetime, timezone
from itertools import islice

import click

from bridge.app.signals import on_stop
from bridge.cli.output import json_option
from bridge.cli.settings import JOBS, Settings, with_settings_of
from bridge.cli.status_client import open_events
from bridge.errors import Usage, one_line
from bridge.model.message import letter_fields, value_of
from bridge.model.position import Position, past_position
from bridge.model.transition import Batch, Poison, Transition
from bridge.settings import parse_when


@click.command()
@click.option(
    "--since",
    metavar="WHEN",
    help="Start at this time: 10m, or an ISO 8601 time with a zone, if the oplog still contains "
    "it. Default: now.",
)
@click.option("--count", type=click.IntRange(1), help="End after this many transitions.")
@click.option(
    "--acknowledged",
    is_flag=True,
    help="Print the transitions that Kafka acknowledged, as the bridge at http.host and http.port "
    "reports them (/events), the last 20 first. Does not use MongoDB.",
)
@json_option(
    "Print JSON only: a transition that cannot be sent as the fields of its dead letter, and an "
    "error as JSON."
)
@with_settings_of(*JOBS, "http.")
def tail(
    settings: Settings, since: str | None, count: int | None, acknowledged: bool, as_json: bool
) -> None:
    """Print transitions as they happen, a JSON message per line.

    Does not use Kafka, and does not change the checkpoint. Ends with Ctrl-C.

    \b
    Example:
      job-bridge tail --mongo-uri mongodb://localhost:27017/?replicaSet=rs0 --count 10
    """
    if acknowledged:
        if since is not None:
            raise Usage("--since and --acknowledged: give only one")
        _print_acknowledged(settings, count)
    else:
        _print_stream(settings, since, count, as_json)


def _print_acknowledged(settings: Settings, count: int | None) -> None:
    with open_events(settings.http) as events, on_stop(events.end):
        for kind, data in islice(events, count):
            click.echo(json.dumps({"event": kind, **data}))


def _print_stream(settings: Settings, since: str | None, count: int | None, as_json: bool) -> None:
    from bridge.app.wiring import open_source_and_store

    stop, wake = threading.Event(), threading.Event()

    def end() -> None:
        stop.set()
        wake.set()

    remaining = count if count is not None else -1
    with open_source_and_store(settings) as (source, _), on_stop(end):
        newest = source.identity().newest
        start = _position(since, newest) if since is not None else newest
        if start is None:
            raise Usage(
                f"--since: {since} is in the future: "
                f"MongoDB's last write was at {newest.cluster_time.isoformat()}"
            )
        with source.open(start, wake, by_time=False) as stream:
            while not stop.is_set() and remaining != 0:
                wake.clear()
                batch = stream.read()
                if batch is None:
                    wake.wait(1)
                else:
                    remaining = _print(batch, remaining, as_json)


def _position(since: str, newest: Position) -> Position | None:
    """Return the position of a time, or None if the time is in the future."""
    now = datetime.now(timezone.utc)
    try:
        return past_position(parse_when(since, now), newest, now)
    except ValueError as error:
        raise Usage(f"--since: {error}") from None


def _print(batch: Batch, remaining: int, as_json: bool) -> int:
    """Print the transitions of a batch, at most ``remaining`` (negative: all).

    Returns how many remain to be printed.
    """
    for event in batch.events:
        for item in event.items:
            if remaining == 0:
                return 0
            click.echo(_text(item, as_json))
            remaining -= 1
    return remaining


def _text(item: Transition | Poison, as_json: bool) -> str:
    if isinstance(item, Transition):
        return value_of(item).decode()
    if not as_json:
        return one_line(f"cannot be sent: {item.reason}")
    return json.dumps(letter_fields(item))
