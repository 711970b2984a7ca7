"""``job-bridge token``: shows the checkpoint, and changes it by hand."""

import json
import logging
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import CheckpointUnusable, Fenced, Retryable, Usage
from bridge.hints import Hint
from bridge.model.checkpoint import Checkpoint
from bridge.model.cluster_identity import ClusterIdentity
from bridge.model.position import Position, past_position, position_after
from bridge.model.profile import namespace_of
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import parse_when

logger = logging.getLogger("bridge")

_UNCHANGED = "The checkpoint is unchanged"


@click.group()
def token() -> None:
    """Show or change the checkpoint. Stop the bridge before a change."""


@token.command()
@click.option("--json", "as_json", is_flag=True, help="Print the stored record as JSON.")
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
        click.echo(f"no checkpoint '{settings.checkpoint.name}': the next start uses start.from")
    else:
        for name, value in stored.record().items():
            click.echo(f"{name:17} {value}")
        click.echo(f"{'position':17} {stored.position}")


@token.command("set")
@click.argument("target", metavar="TIME|now|TOKEN")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_settings
def set_(settings: Settings, target: str, yes: bool) -> None:
    """Set the position from which the bridge resumes.

    \b
    TIME    an ISO 8601 time with a zone, or a duration ago such as 2h; inclusive
    now     after MongoDB's last write; earlier unsent transitions are skipped
    TOKEN   a resume token: right after its event

    \b
    Example:
      job-bridge token set 2026-03-02T18:00:00+00:00
    """
    _change(settings, target, yes)


@token.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_settings
def clear(settings: Settings, yes: bool) -> None:
    """Remove the checkpoint: the next start uses start.from.

    \b
    Example:
      job-bridge token clear --yes
    """
    _change(settings, None, yes)


def _position(target: str, identity: ClusterIdentity) -> Position:
    newest, now = identity.newest, datetime.now(timezone.utc)
    if target == "now":
        return newest
    with suppress(ValueError):
        return position_after(target)
    try:
        position = past_position(parse_when(target, now), newest, now)
    except ValueError as error:
        raise Usage(
            f"{target!r} is neither a resume token nor a usable time: {error}", _UNCHANGED
        ) from None
    if position is None:
        raise Usage(
            f"{target} is in the future: "
            f"MongoDB's last write was at {identity.cluster_time.isoformat()}",
            _UNCHANGED,
            f"'{Hint.TOKEN_SET_NOW}' resumes from the last write",
        )
    return position


def _change(settings: Settings, target: str | None, yes: bool) -> None:
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, store):
        position = _position(target, source.identity()) if target is not None else None
        if blocker := store.acquire():
            raise Fenced(
                f"A bridge is running: {blocker}",
                _UNCHANGED,
                "Stop the bridge, then try again",
            )
        try:
            before, unusable = _load(store)
            _warn_of_other_collection(before, namespace_of(settings))
            _confirm(before, unusable, position, yes)
            store.replace(
                _checkpoint_at(position, source.identity(), store, before) if position else None
            )
            logger.warning("the checkpoint was changed by hand", extra={"position": str(position)})
        finally:
            with suppress(Retryable):
                store.release()


def _warn_of_other_collection(before: Checkpoint | None, namespace: str) -> None:
    if before and before.namespace != namespace:
        click.echo(
            f"warning: the checkpoint '{before.name}' belongs to {before.namespace}, not to "
            f"{namespace}: a bridge that reads {before.namespace} would lose its position. "
            "If there is one, set another checkpoint.name instead"
        )


def _confirm(
    before: Checkpoint | None, unusable: str, position: Position | None, yes: bool
) -> None:
    click.echo(f"old: {before.position if before else unusable or 'no checkpoint'}")
    click.echo(f"new: {position or 'no checkpoint: the next start uses start.from'}")
    if before and before.gap:
        click.echo(
            "warning: a recovery is not finished; its unsent transitions will not be sent. "
            "'job-bridge replay' can send them from the jobs"
        )
    elif before and position and position > before.position:
        click.echo(
            "warning: the transitions between the two positions will not be sent. "
            "'job-bridge replay' can send them from the jobs"
        )
    if not yes:
        click.confirm("Change the checkpoint?", abort=True)


def _checkpoint_at(
    position: Position, identity: ClusterIdentity, store: CheckpointStore, before: Checkpoint | None
) -> Checkpoint:
    """Make a checkpoint for this collection and cluster, even if ``before`` was for another."""
    sequence = before.sequence + 1 if before else 0
    return replace(
        identity.first(store.name, position, store.epoch, time.time()), sequence=sequence
    )


def _load(store: CheckpointStore) -> tuple[Checkpoint | None, str]:
    try:
        return store.load(), ""
    except CheckpointUnusable as error:
        return None, error.what
