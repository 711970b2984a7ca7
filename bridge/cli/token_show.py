"""``job-bridge token show`` and ``list``: print checkpoints, and change nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from bridge.cli.output import json_option, print_json, print_table
from bridge.cli.settings import CHECKPOINT, COLLECTION, KAFKA, MODE, Settings, with_settings_of
from bridge.cli.times import with_iso_times
from bridge.clock import iso
from bridge.errors import NotFound, one_line
from bridge.model.checkpoint import Checkpoint
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.pipeline.ports import CheckpointStore


@click.command()
@json_option("Print the stored record as JSON, with its position; null after token clear.")
@with_settings_of(*COLLECTION, *KAFKA, *CHECKPOINT, *MODE)
def show(settings: Settings, as_json: bool) -> None:
    """Show the checkpoint, decoded. Exits 66 if the store does not contain the name.

    \b
    Example:
      job-bridge token show --checkpoint-name job-bridge
    """
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (_, store):
        stored = store.load()
        missing = _why_missing(store) if stored is None else ""
    if as_json:
        click.echo(json.dumps(_document(stored) if stored else None, indent=1))
    elif missing:
        click.echo(missing)
    elif stored is not None:
        for name, value in _fields(stored):
            click.echo(f"{name:17} {value}".rstrip())


def _document(stored: Checkpoint) -> dict[str, Any]:
    """Return the stored record, with times as ISO 8601."""
    position = stored.position
    return {
        **with_iso_times(stored.record()),
        "position": position.text,
        "position_time": position.cluster_time.isoformat(),
    }


def _fields(stored: Checkpoint) -> Iterator[tuple[str, str]]:
    """Return the names and the values to print; the fields of an object have its name in front."""
    document = _document(stored)
    time = stored.position.cluster_time
    document["cluster_time"] = f"{time.isoformat()}, increment {time.increment}"
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", _text(inner)) for part, inner in value.items())
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return one_line(value) if isinstance(value, str) else json.dumps(value)


def _why_missing(store: CheckpointStore) -> str:
    """Explain that there is no checkpoint.

    Raises:
        NotFound: The store does not contain the name.
    """
    missing = f"no checkpoint '{store.name}': the next start uses start.from"
    if store.cleared:
        return missing
    raise NotFound(missing, "", other_names(store.entries(), store.name))


def other_names(entries: Sequence[CheckpointEntry], name: str) -> str:
    """Return the other names in the store, in a sentence."""
    names = [entry.name for entry in entries if entry.name != name]
    if not names:
        return "The store has no other checkpoint"
    return f"The store has: {', '.join(names)}. Check checkpoint.name"


@click.command("list")
@json_option("Print a JSON list of {name, position, position_time, owner, saved_at, damage}.")
@with_settings_of(*COLLECTION, *KAFKA, *CHECKPOINT, *MODE)
def list_(settings: Settings, as_json: bool) -> None:
    """List the checkpoints of all names in the store.

    \b
    Example:
      job-bridge token list
    """
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (_, store):
        entries = store.entries()
    if as_json:
        print_json([_entry(entry) for entry in entries])
        return
    if not entries:
        click.echo("no checkpoints in the store", err=True)
        return
    print_table(("NAME", "OWNER", "SAVED AT", "POSITION"), [_row(entry) for entry in entries])
    for entry in entries:
        if entry.damage:
            click.echo(one_line(f"{entry.name}: {entry.damage}"))


def _entry(entry: CheckpointEntry) -> dict[str, str | None]:
    stored = entry.checkpoint
    return {
        "name": entry.name,
        "position": stored.position.text if stored else None,
        "position_time": stored.position.cluster_time.isoformat() if stored else None,
        "owner": entry.owner or None,
        "saved_at": iso(stored.saved_at) if stored and stored.saved_at else None,
        "damage": entry.damage or None,
    }


def _row(entry: CheckpointEntry) -> tuple[str, str, str, str]:
    document = _entry(entry)
    return (
        entry.name,
        document["owner"] or "no owner",
        document["saved_at"] or "-",
        document["position"] or ("not usable" if entry.damage else "no position"),
    )
