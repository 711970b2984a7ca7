"""``job-bridge token remove``: removes a name from the store of the checkpoints."""

import logging
from contextlib import nullcontext

import click

from bridge.cli.output import print_json
from bridge.cli.settings import CHECKPOINT, KAFKA, MODE, Settings
from bridge.cli.token_answers import Answers, changing
from bridge.errors import NotFound, Usage
from bridge.hints import Hint
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.pipeline.ports import CheckpointStore

logger = logging.getLogger("bridge")

_EFFECT = (
    "no message and no job is changed. If a bridge of this name starts again, it uses start.from; "
    "if the topic has its messages, it may not start (83) before "
    f"'{Hint.TOKEN_CLEAR}' says that the checkpoint is missing on purpose"
)


@click.command()
@click.argument("name")
@changing("mongo.uri", "mongo.database", *KAFKA, *CHECKPOINT, *MODE)
def remove(settings: Settings, name: str, answers: Answers) -> None:
    """Remove a name from the store, for a bridge that has ended.

    NAME and its position are gone afterwards, and nothing shows that they were there: for a bridge
    that will start again, use token clear. It refuses while a bridge owns the checkpoint (76). With
    checkpoint.store = mongo it needs the right to remove documents, which a bridge does not need.

    \b
    Example:
      job-bridge token remove cts.trial
    """
    from bridge.app.command_ownership import own, owned
    from bridge.app.wiring import open_store

    if not name:  # as a setting it would be the name of this collection
        raise Usage("NAME is empty", "Nothing was changed", f"'{Hint.TOKEN_LIST}' shows all names")
    checkpoint = settings.checkpoint.model_copy(update={"name": name})
    named = settings.model_copy(update={"checkpoint": checkpoint})
    with open_store(named, checkpoint.store) as store:
        entry = _entry(store)
        with nullcontext() if answers.dry_run else owned(store):
            if not answers.as_json:
                _announce(store, entry)
            if answers.asks:
                answers.confirm(f"Remove '{name}'?")
                own(store)  # The answer may have taken longer than a lease or a session.
            if not answers.dry_run:
                store.remove()
                logger.warning("the checkpoint '%s' was removed by hand", name)
    if answers.as_json:
        print_json(_document(entry, changed=not answers.dry_run))
    elif answers.dry_run:
        click.echo("nothing was changed", err=True)


def _entry(store: CheckpointStore) -> CheckpointEntry:
    """Return the entry to remove. Raises ``NotFound``."""
    for entry in store.entries():
        if entry.name == store.name:
            return entry
    raise NotFound(
        f"no checkpoint '{store.name}' in the store",
        "Nothing was changed",
        f"'{Hint.TOKEN_LIST}' shows all names",
    )


def _announce(store: CheckpointStore, entry: CheckpointEntry) -> None:
    stored = entry.checkpoint
    of = f" of {stored.namespace}" if stored else ""
    click.echo(f"old: {_position(entry) or 'no position'}{of}")
    click.echo(f"new: the name is not in {store.where} any more")
    click.echo(_EFFECT)


def _position(entry: CheckpointEntry) -> str | None:
    return entry.checkpoint.position.text if entry.checkpoint else entry.damage or None


def _document(entry: CheckpointEntry, *, changed: bool) -> dict[str, object]:
    return {
        "name": entry.name,
        "old": _position(entry),
        "new": None,
        "effect": _EFFECT,
        "warnings": [],
        "changed": changed,
    }
