"""``job-bridge tail``: prints transitions as they happen."""

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
    help="begin there: 10m, or an ISO 8601 time with its zone, as far as the oplog reaches; default: now",
)
@click.option("--count", type=click.IntRange(1), help="end after so many transitions")
@with_settings
def tail(settings: Settings, since: str | None, count: int | None) -> None:
    """Print transitions as they happen, one JSON message a line. Touches neither Kafka nor the checkpoint.

    \b
    Example:
      job-bridge tail --mongo-uri mongodb://localhost:27017/?replicaSet=rs0 --count 10
    """
    from bridge.app.wiring import open_source_and_store

    stop, wake = threading.Event(), threading.Event()

    def end() -> None:
        stop.set()
        wake.set()

    left = count if count is not None else -1
    with open_source_and_store(settings) as (source, _), on_stop(end):
        newest = source.identity().newest
        start = _position(since, newest) if since is not None else newest
        if start is None:
            raise Usage(
                f"--since: {since} is in the future: MongoDB is at {newest.cluster_time.isoformat()}"
            )
        with source.open(start, wake, by_time=False) as stream:
            while not stop.is_set() and left != 0:
                wake.clear()
                batch = stream.read()
                if batch is None:
                    wake.wait(1)
                else:
                    left = _print(batch, left)


def _position(since: str, newest: Position) -> Position | None:
    """None for a time in the future."""
    now = datetime.now(timezone.utc)
    try:
        return past_position(parse_when(since, now), newest, now)
    except ValueError as error:
        raise Usage(f"--since: {error}") from None


def _print(batch: Batch, left: int) -> int:
    """Print a batch's transitions, at most ``left`` (negative: all); return what is left."""
    for event in batch.events:
        for item in event.items:
            if left == 0:
                return 0
            text = (
                value_of(item).decode()
                if isinstance(item, Transition)
                else one_line(f"cannot be sent: {item.reason}")
            )
            click.echo(text)
            left -= 1
    return left
