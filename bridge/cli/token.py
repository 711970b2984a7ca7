"""``job-bridge token``: the checkpoint, decoded, and changes to it by hand."""

import json
import logging
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import CheckpointUnusable, Fenced, Retryable, Usage
from bridge.model.checkpoint import Checkpoint, ClusterIdentity
from bridge.model.position import Position, past_position, position_after
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import parse_when

logger = logging.getLogger("bridge")


@click.group()
def token() -> None:
    """Show or change the stored position. Changing needs the bridge to be stopped."""


@token.command()
@click.option("--json", "as_json", is_flag=True, help="the whole record")
@with_settings
def show(settings: Settings, as_json: bool) -> None:
    """Show the checkpoint, decoded.

    \b
    Example:
      job-bridge token show --checkpoint-name job-bridge
    """
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (_, store):
        stored = store.load()
    if as_json:
        click.echo(json.dumps(stored.record() if stored else None, indent=1))
    elif stored is None:
        click.echo(
            f"no checkpoint '{settings.checkpoint.name}' yet: the bridge begins with start.from"
        )
    else:
        for name, value in stored.record().items():
            click.echo(f"{name:17} {value}")
        click.echo(f"{'position':17} {stored.position}")


@token.command("set")
@click.argument("place", metavar="TIME|now|TOKEN")
@click.option("--yes", is_flag=True, help="do not ask")
@with_settings
def set_(settings: Settings, place: str, yes: bool) -> None:
    """Let the bridge go on from a TIME (ISO 8601, a duration as 2h, or now; inclusive) or right after a resume TOKEN.

    \b
    Example:
      job-bridge token set 2026-03-02T18:00:00+00:00
    """
    _change(settings, place, yes)


@token.command()
@click.option("--yes", is_flag=True, help="do not ask")
@with_settings
def clear(settings: Settings, yes: bool) -> None:
    """Forget the checkpoint: the next start begins with start.from.

    \b
    Example:
      job-bridge token clear --yes
    """
    _change(settings, None, yes)


def _position(place: str, identity: ClusterIdentity) -> Position:
    newest, now = identity.newest, datetime.now(timezone.utc)
    if place == "now":
        return newest
    with suppress(ValueError):
        return position_after(place)
    try:
        position = past_position(parse_when(place, now), newest, now)
    except ValueError as error:
        raise Usage(
            f"{place!r} is neither a resume token nor a time to go on from: {error}",
            "The checkpoint is as it was",
        ) from None
    if position is None:
        raise Usage(
            f"{place} is in the future: MongoDB is at {identity.cluster_time.isoformat()}",
            "The checkpoint is as it was",
            "'job-bridge token set now' goes on from here",
        )
    return position


def _change(settings: Settings, place: str | None, yes: bool) -> None:
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, store):
        position = _position(place, source.identity()) if place is not None else None
        if blocker := store.acquire():
            raise Fenced(
                f"A bridge is running: {blocker}",
                "The checkpoint is as it was",
                "Stop the bridge first",
            )
        try:
            before, unusable = _load(store)
            _confirm(before, unusable, position, yes)
            store.replace(_made(source.identity(), store, before, position) if position else None)
            logger.warning("the checkpoint was changed by hand", extra={"position": str(position)})
        finally:
            with suppress(Retryable):
                store.release()


def _confirm(
    before: Checkpoint | None, unusable: str, position: Position | None, yes: bool
) -> None:
    click.echo(f"now:  {before.position if before else unusable or 'no checkpoint'}")
    click.echo(f"then: {position or 'no checkpoint: the next start begins with start.from'}")
    if before and before.gap:
        click.echo(
            "history is being published: what is not yet will not be any more; 'job-bridge replay' can send it from the jobs"
        )
    elif before and position and position > before.position:
        click.echo(
            "what lies between the two will not be sent by the stream; 'job-bridge replay' can send it from the jobs"
        )
    if not yes:
        click.confirm("Change it?", abort=True)


def _made(
    identity: ClusterIdentity, store: CheckpointStore, before: Checkpoint | None, position: Position
) -> Checkpoint:
    """A checkpoint of this very collection and cluster, whatever the one before was of."""
    sequence = before.sequence + 1 if before else 0
    return replace(
        identity.first(store.name, position, store.epoch, time.time()), sequence=sequence
    )


def _load(store: CheckpointStore) -> tuple[Checkpoint | None, str]:
    try:
        return store.load(), ""
    except CheckpointUnusable as error:
        return None, error.what
