"""``job-bridge token set`` and ``clear``: change the checkpoint by hand."""

import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from bridge.cli.output import print_json
from bridge.cli.settings import (
    CHECKPOINT,
    JOBS,
    KAFKA,
    MODE,
    Settings,
    completing,
)
from bridge.cli.token_answers import UNCHANGED, Answers, changing
from bridge.cli.token_effect import (
    UNKNOWN,
    Description,
    describe,
    describe_all,
    effect_of,
    not_sent,
)
from bridge.cli.token_show import other_names
from bridge.errors import BridgeError, CheckpointUnusable, NotFound, Usage, one_line
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

_CLEARED = "no checkpoint: the next start uses start.from"


_changing = changing(*JOBS, *KAFKA, *CHECKPOINT, *MODE, "start.")


@click.command("set")
@click.argument("target", metavar="TIME|now|TOKEN", shell_complete=completing("now"))
@_changing
def set_(settings: Settings, target: str, answers: Answers) -> None:
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
    _change(settings, target, answers)


@click.command()
@_changing
def clear(settings: Settings, answers: Answers) -> None:
    """Remove the checkpoint: the next start uses start.from.

    It says how many transitions will be skipped, or read again. It also leaves a sign that the
    checkpoint was removed on purpose: without it a bridge that finds its own messages in the topic,
    but no checkpoint, does not start. Exits 66 if the store does not contain the name.

    \b
    Example:
      job-bridge token clear --yes
    """
    _change(settings, None, answers)


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
            f"{target!r} is neither a resume token nor a usable time: {error}", UNCHANGED
        ) from None
    if position is None:
        raise Usage(
            f"{target} is in the future: "
            f"MongoDB's last write was at {identity.cluster_time.isoformat()}",
            UNCHANGED,
            f"'{Hint.TOKEN_SET_NOW}' resumes from the last write",
        )
    return position


@dataclass(frozen=True, slots=True)
class _Change:
    """A change to be confirmed.

    Attributes:
        name: The name of the checkpoint.
        before: The stored checkpoint; None if it does not exist or is unusable.
        unusable: Why the stored checkpoint cannot be read; empty if it can.
        position: The new position; None to remove the checkpoint.
        warnings: The doubts about the name and the collection.
        effect: The effect on the transitions.
    """

    name: str
    before: Checkpoint | None
    unusable: str
    position: Position | None
    warnings: list[str]
    effect: Description

    def announce(self) -> None:
        """Print the old and the new position, and the effect."""
        before = self.before
        for text in self.warnings:
            click.echo(one_line(f"warning: {text}"))
        click.echo(f"old: {before.position.text if before else self.unusable or 'no checkpoint'}")
        click.echo(f"new: {self.position.text if self.position else _CLEARED}")
        if self.effect.text:
            click.echo(f"warning: {self.effect.text}" if self.effect.loses else self.effect.text)

    def document(self, *, changed: bool) -> dict[str, object]:
        """Return the change for ``--json``."""
        before, position = self.before, self.position
        return {
            "name": self.name,
            "old": before.position.text if before else self.unusable or None,
            "new": position.text if position else None,
            "effect": self.effect.text,
            "warnings": [*self.warnings, *[self.effect.text] * self.effect.loses],
            "changed": changed,
        }


def _effect(
    settings: Settings,
    source: "MongoSource",
    before: Checkpoint | None,
    unusable: str,
    position: Position | None,
) -> Description:
    from bridge.app.starting_point import first_position

    if unusable:
        return Description("the old position is not known, nor what is skipped or read again")
    if before is None:
        return UNKNOWN
    if before.gap:
        return not_sent("a recovery is not finished; its unsent transitions")
    history, start = source.history, settings.start.from_
    if position is None and start == "history":
        return describe_all(history, settings)
    if position is None and start != "now":
        with suppress(BridgeError):
            position = first_position(start, source.identity().newest)
    return describe(effect_of(before.position, position), history, settings)


def _change(settings: Settings, target: str | None, answers: Answers) -> None:
    from bridge.app.command_ownership import own, owned
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, store):
        position = _position(target, source.identity()) if target is not None else None
        entries = [] if settings.keeps_no_position else store.entries()
        if target is None and not settings.keeps_no_position:
            _admit_name(store, entries)
        others = other_names(entries, store.name)
        with nullcontext() if answers.dry_run else owned(store):
            change = _planned(settings, source, store, position, others)
            if not answers.as_json:
                change.announce()
            if answers.asks:
                answers.confirm("Change the checkpoint?")
                own(store)  # The answer may have taken longer than a lease or a session.
            if not answers.dry_run:
                _store(store, source, change)
    if answers.as_json:
        print_json(change.document(changed=not answers.dry_run))
    elif answers.dry_run:
        click.echo("nothing was changed", err=True)


def _admit_name(store: CheckpointStore, entries: Sequence[CheckpointEntry]) -> None:
    """Raise ``NotFound`` if there is nothing to clear; a start that exits with 83 leaves a name."""
    before, unusable = _load(store)
    if before or unusable or store.name in {entry.name for entry in entries}:
        return
    raise NotFound(
        f"no checkpoint '{store.name}': the first start uses start.from",
        "Nothing was changed",
        other_names(entries, store.name),
    )


def _planned(
    settings: Settings,
    source: "MongoSource",
    store: CheckpointStore,
    position: Position | None,
    others: str,
) -> _Change:
    before, unusable = _load(store)
    warnings = []
    if before is None and not unusable and not store.cleared:
        warnings.append(f"'{store.name}' is a new name in this store. {others}")
    if before and before.namespace != (namespace := namespace_of(settings)):
        warnings.append(
            f"the checkpoint '{before.name}' belongs to {before.namespace}, not to "
            f"{namespace}: a bridge that reads {before.namespace} would lose its position. "
            "If there is one, set another checkpoint.name instead"
        )
    effect = _effect(settings, source, before, unusable, position)
    return _Change(store.name, before, unusable, position, warnings, effect)


def _store(store: CheckpointStore, source: "MongoSource", change: _Change) -> None:
    before, position, checkpoint = change.before, change.position, None
    if position is not None:
        # For this collection and cluster, even if the earlier checkpoint was for another.
        first = source.identity().first(store.name, position, store.epoch, time.time())
        checkpoint = replace(first, sequence=before.sequence + 1 if before else 0)
    store.replace(checkpoint)
    extra = {"position": str(position)} if position else {}
    logger.warning("the checkpoint was changed by hand", extra=extra)


def _load(store: CheckpointStore) -> tuple[Checkpoint | None, str]:
    try:
        return store.load(), ""
    except CheckpointUnusable as error:
        return None, error.what
