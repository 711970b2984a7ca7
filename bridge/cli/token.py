"""``job-bridge token``: shows the checkpoint, and changes it by hand."""

import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from bridge.cli.settings import CHECKPOINT, JOBS, KAFKA, MODE, Settings, with_settings_of
from bridge.cli.token_effect import describe, describe_all, effect_of
from bridge.cli.token_move import move
from bridge.errors import BridgeError, CheckpointUnusable, NotFound, Usage
from bridge.hints import Hint
from bridge.model.checkpoint import Checkpoint
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.cluster_identity import ClusterIdentity
from bridge.model.position import Position, past_position, position_after
from bridge.model.profile import namespace_of
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import parse_when

if TYPE_CHECKING:  # imported late: MongoDB's driver would slow down the help
    from bridge.mongo.source import MongoSource

logger = logging.getLogger("bridge")

_UNCHANGED = "The checkpoint is unchanged"


@click.group()
def token() -> None:
    """Show or change the checkpoint. Stop the bridge before a change."""


token.add_command(move)


@token.command()
@click.option("--json", "as_json", is_flag=True, help="Print the stored record as JSON.")
@with_settings_of(*JOBS, *KAFKA, *CHECKPOINT, *MODE)
def show(settings: Settings, as_json: bool) -> None:
    """Show the checkpoint, decoded.

    \b
    Example:
      job-bridge token show --checkpoint-name job-bridge
    """
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (_, store):
        stored = store.load()
        missing = stored is None and not as_json and _why_missing(store)
    if as_json:
        click.echo(json.dumps(stored.record() if stored else None, indent=1))
    elif missing:
        click.echo(missing)
    elif stored is not None:
        for name, value in stored.record().items():
            click.echo(f"{name:17} {value}")
        click.echo(f"{'position':17} {stored.position}")


def _why_missing(store: CheckpointStore) -> str:
    """Explain that there is no checkpoint.

    Raises:
        NotFound: The store does not contain the name.
    """
    missing = f"no checkpoint '{store.name}': the next start uses start.from"
    if store.cleared:
        return missing
    raise NotFound(missing, "", _other_names(store.entries(), store.name))


@token.command("list")
@with_settings_of(*JOBS, *KAFKA, *CHECKPOINT, *MODE)
def list_(settings: Settings) -> None:
    """List the checkpoints of all names in the store.

    \b
    Example:
      job-bridge token list
    """
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (_, store):
        entries = store.entries()
    if not entries:
        click.echo("no checkpoints in the store")
        return
    rows = [("name", "position", "owner", "saved at"), *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        click.echo("  ".join(text.ljust(width) for text, width in cells).rstrip())
    for entry in entries:
        if entry.damage:
            click.echo(f"{entry.name}: {entry.damage}")


def _row(entry: CheckpointEntry) -> tuple[str, str, str, str]:
    stored, saved = entry.checkpoint, "-"
    if stored and stored.saved_at:
        saved = datetime.fromtimestamp(stored.saved_at, timezone.utc).isoformat(timespec="seconds")
    position = str(stored.position) if stored else "not usable" if entry.damage else "no position"
    return entry.name, position, entry.owner or "no owner", saved


@token.command("set")
@click.argument("target", metavar="TIME|now|TOKEN")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_settings_of(*JOBS, *KAFKA, *CHECKPOINT, *MODE, "start.")
def set_(settings: Settings, target: str, yes: bool) -> None:
    """Set the position from which the bridge resumes.

    It says how many transitions will be skipped, or read again.

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
@with_settings_of(*JOBS, *KAFKA, *CHECKPOINT, *MODE, "start.")
def clear(settings: Settings, yes: bool) -> None:
    """Remove the checkpoint: the next start uses start.from.

    It says how many transitions will be skipped, or read again. It also leaves a sign that the
    checkpoint was removed on purpose: without it a bridge that finds its own messages in the topic,
    but no checkpoint, does not start.

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


@dataclass(frozen=True, slots=True)
class _Change:
    """A change to be confirmed.

    Attributes:
        before: The stored checkpoint; None if it does not exist or is unusable.
        unusable: Why the stored checkpoint cannot be read; empty if it can.
        position: The new position; None to remove the checkpoint.
    """

    settings: Settings
    source: "MongoSource"
    before: Checkpoint | None
    unusable: str
    position: Position | None

    def announce(self) -> None:
        """Print the old and the new position, and the effect."""
        before, position = self.before, self.position
        click.echo(f"old: {before.position if before else self.unusable or 'no checkpoint'}")
        click.echo(f"new: {position or 'no checkpoint: the next start uses start.from'}")
        if before and before.gap:
            click.echo(
                "warning: a recovery is not finished; its unsent transitions will not be sent. "
                "'job-bridge replay' can send them from the jobs"
            )
        elif before:
            click.echo(self._effect(before.position))
        elif self.unusable:
            click.echo("the old position is not known, nor what is skipped or read again")

    def _effect(self, old: Position) -> str:
        from bridge.app.starting_point import first_position

        history, settings = self.source.history, self.settings
        new, start = self.position, settings.start.from_
        if new is None and start == "history":
            return describe_all(history, settings)
        if new is None and start != "now":
            with suppress(BridgeError):
                new = first_position(start, self.source.identity().newest)
        return describe(effect_of(old, new), history, settings)


def _change(settings: Settings, target: str | None, yes: bool) -> None:
    from bridge.app.command_ownership import own, owned
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, store):
        position = _position(target, source.identity()) if target is not None else None
        entries = [] if settings.keeps_no_position else store.entries()
        with owned(store):
            before, unusable = _load(store)
            if before is None and not unusable and not store.cleared:
                others = _other_names(entries, store.name)
                click.echo(f"'{store.name}' is a new name in this store. {others}")
            _warn_of_other_collection(before, namespace_of(settings))
            _Change(settings, source, before, unusable, position).announce()
            if not yes:
                click.confirm("Change the checkpoint?", abort=True)
                own(store)  # The answer may have taken longer than a lease or a session.
            store.replace(
                _checkpoint_at(position, source.identity(), store, before) if position else None
            )
            logger.warning("the checkpoint was changed by hand", extra={"position": str(position)})


def _other_names(entries: Sequence[CheckpointEntry], name: str) -> str:
    """Return the other names in the store, in a sentence."""
    names = [entry.name for entry in entries if entry.name != name]
    if not names:
        return "The store has no other checkpoint"
    return f"The store has: {', '.join(names)}. Check checkpoint.name"


def _warn_of_other_collection(before: Checkpoint | None, namespace: str) -> None:
    if before and before.namespace != namespace:
        click.echo(
            f"warning: the checkpoint '{before.name}' belongs to {before.namespace}, not to "
            f"{namespace}: a bridge that reads {before.namespace} would lose its position. "
            "If there is one, set another checkpoint.name instead"
        )


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
