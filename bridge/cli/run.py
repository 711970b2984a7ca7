"""``job-bridge run``: the service."""

import gc
import logging
import sys

import click

from bridge.cli.settings import Config, with_settings
from bridge.errors import BridgeError

logger = logging.getLogger("bridge")

#: A thread that has an answer to hand over waits at most so long for the interpreter.
_SWITCH_SECONDS = 0.0005
#: More than what the window and the batches ahead hold: else each collection would look through all of it in vain.
_COLLECT_AFTER = 100_000


@click.command()
@with_settings
def run(config: Config) -> int:
    """Run the bridge until SIGTERM or SIGINT.

    The first signal drains and stores the position, a second one ends the process at once.

    \b
    Example:
      job-bridge run --config /etc/job-bridge.toml --log-format json
    """
    from bridge.service import Service

    try:
        service = Service(config)
        _settle_down()
        return service.run()
    except BridgeError as error:
        logger.error("%s: %s", error.title, error, extra={"exit_code": error.exit_code})
        return error.exit_code


def _settle_down() -> None:
    """Set the interpreter up for a process that does nothing but move messages.

    What is imported by now stays, and the path of a message makes no cycles; collecting every 700
    objects, as is the default, would take a sixth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    sys.setswitchinterval(_SWITCH_SECONDS)
