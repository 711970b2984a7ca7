"""``job-bridge token move``: moves the checkpoint to another store."""

import logging

import click

from bridge.cli.settings import CHECKPOINT, JOBS, KAFKA, MODE, Settings, with_settings_of
from bridge.errors import Usage
from bridge.model.profile import namespace_of

logger = logging.getLogger("bridge")

STORES = ("mongo", "file", "kafka")


@click.command()
@click.argument("store", type=click.Choice(STORES), metavar="|".join(STORES))
@click.option("--yes", is_flag=True, help="Overwrite a checkpoint that the other store has.")
@with_settings_of(*JOBS, *KAFKA, *CHECKPOINT, *MODE)
def move(settings: Settings, store: str, yes: bool) -> None:
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
        moved = CheckpointMove(source, NamedStore(store, target), namespace_of(settings)).run(
            overwrite=yes
        )
    position = moved.checkpoint.position
    logger.warning("the checkpoint was moved by hand", extra={"position": str(position)})
    done = "an earlier move is finished" if moved.finished else "moved"
    click.echo(f"{done}: {position}")
    click.echo(f"from: {left.where}")
    click.echo(f"to:   {target.where}")
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
