"""``job-bridge tail``: prints the transitions of the stream."""

import threading
from datetime import datetime, timezone

import click

from bridge.app.signals import on_stop
from bridge.cli.settings import Settings, with_settings
from bridge.errors import Usage, one_line
from bridge.model.message import value_of
from bridge.model.position import Position, past_position
from bridge.model.transition import Batch, Transition
from bridge.settings import parse_when


@click.command()
@click.option(
    "--since",
    metavar="WHEN",
    help="Start at this time: 10m, or an ISO 8601 time with a zone, if the oplog still contains "
    "it. Default: now.",
)
@click.option("--count", type=click.IntRange(1), help="End after this many transitions.")
@with_settings
def tail(settings: Settings, since: str | None, count: int | None) -> None:
    """Print transitions as they happen, a JSON message per line.

    Does not use Kafka, and does not change the checkpoint.

    \b
    Example:
      job-bridge tail --mongo-uri mongodb://localhost:27017/?replicaSet=rs0 --count 10
    """
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
                    remaining = _print(batch, remaining)


def _position(since: str, newest: Position) -> Position | None:
    """Return the position of a time, or None if the time is in the future."""
    now = datetime.now(timezone.utc)
    try:
        return past_position(parse_when(since, now), newest, now)
    except ValueError as error:
        raise Usage(f"--since: {error}") from None


def _print(batch: Batch, remaining: int) -> int:
    """Print the transitions of a batch, at most ``remaining`` (negative: all).

    Returns how many remain to be printed.
    """
    for event in batch.events:
        for item in event.items:
            if remaining == 0:
                return 0
            text = (
                value_of(item).decode()
                if isinstance(item, Transition)
                else one_line(f"cannot be sent: {item.reason}")
            )
            click.echo(text)
            remaining -= 1
    return remaining
