"""``job-bridge token``: shows the checkpoint, and changes it by hand."""

import click

from bridge.cli.token_change import clear, set_
from bridge.cli.token_move import move
from bridge.cli.token_remove import remove
from bridge.cli.token_show import list_, show


@click.group()
def token() -> None:
    """Show or change the checkpoint. Stop the bridge before a change."""


for _command in (show, list_, set_, clear, move, remove):
    token.add_command(_command)
