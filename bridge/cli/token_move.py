"""``job-bridge token move``: moves the checkpoint to another store."""

import logging

import click

from bridge.cli.output import dry_run_option, json_option, print_json
from bridge.cli.settings import CHECKPOINT, COLLECTION, KAFKA, MODE, Settings, with_settings_of
from bridge.errors import Usage
from bridge.model.profile import namespace_of

logger = logging.getLogger("bridge")

#: By whether an earlier move is finished, and by whether nothing is changed.
_DONE = {
    (False, False): "moved",
    (True, False): "an earlier move is finished",
    (False, True): "would be moved",
    (True, True): "an earlier move would be finished",
}
STORES = ("mongo", "file", "kafka")


@click.command()
@click.argument("store", type=click.Choice(STORES), metavar="|".join(STORES))
@click.option("--yes", is_flag=True, help="Overwrite a checkpoint that the other store has.")
@dry_run_option("Say what would be moved; change nothing.")
@json_option("Print {name, position, from, to, finished, changed} as JSON.")
@with_settings_of(*COLLECTION, *KAFKA, *CHECKPOINT, *MODE)
def move(settings: Settings, store: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Move the checkpoint from checkpoint.store to another store.

    The position, an unfinished recovery and the sequence move along. The checkpoint that is left
    has a mark, so that a bridge with the former setting does not start. Each store uses its own
    settings: checkpoint.database, checkpoint.file, kafka.topic.

    \b
    Example:
      job-bridge token move kafka
    """
    from bridge.app.checkpoint_move import CheckpointMove, NamedStore
    from bridge.app.wiring import open_source_and_store, open_store

    present = settings.checkpoint.store
    if store == present:
        raise Usage(
            f"checkpoint.store is {present} already",
            "Nothing was changed",
            "Name another store, or give the store that has the checkpoint, as with "
            f"--checkpoint-store mongo{_former_mode(settings)}",
        )
    with (
        open_source_and_store(settings) as (_, left),
        open_store(settings, store) as target,
    ):
        source = NamedStore(present, left)
        move = CheckpointMove(source, NamedStore(store, target), namespace_of(settings))
        moved = move.plan(overwrite=yes) if dry_run else move.run(overwrite=yes)
    position = moved.checkpoint.position
    if not dry_run:
        logger.warning("the checkpoint was moved by hand", extra={"position": str(position)})
    if as_json:
        document = {"name": left.name, "position": position.text, "from": left.where}
        rest = {"to": target.where, "finished": moved.finished, "changed": not dry_run}
        print_json(document | rest)
        return
    done = _DONE[moved.finished, dry_run]
    click.echo(f"{done}: {position.text}")
    click.echo(f"from: {left.where}")
    click.echo(f"to:   {target.where}")
    if not dry_run:
        click.echo(f"next: set checkpoint.store = {store}" + _mode_to_set(settings, store))


def _former_mode(settings: Settings) -> str:
    """Return the option without which the other stores are refused."""
    if settings.delivery.mode == "exactly-once":
        return " --delivery-mode at-least-once"
    return ""


def _mode_to_set(settings: Settings, store: str) -> str:
    if settings.delivery.mode == "exactly-once" and store != "kafka":
        return ", and another delivery.mode: exactly-once needs checkpoint.store = kafka"
    return ""
