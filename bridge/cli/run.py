"""``job-bridge run``: the service."""

import gc
import logging
import sys

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import BridgeError

logger = logging.getLogger("bridge")

#: A thread that has an answer to hand over waits at most so long for the interpreter.
_SWITCH_SECONDS = 0.0005


@click.command()
@with_settings
def run(settings: Settings) -> int:
    """Run the bridge until SIGTERM or SIGINT.

    The first signal drains and stores the position, a second one ends the process at once.

    \b
    Example:
      job-bridge run --config /etc/job-bridge.toml --log-format json
    """
    from bridge.app.process import Process

    try:
        process = Process(settings)
        _settle_down()
        return process.run()
    except BridgeError as error:
        logger.error("%s: %s", error.title, error, extra={"exit_code": error.exit_code})
        return error.exit_code


def _settle_down() -> None:
    """Set the interpreter up for a process that does nothing but move messages: what is imported by now stays, and is not looked through."""
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
