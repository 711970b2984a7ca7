"""``job-bridge run``: runs the bridge."""

import gc
import logging
import sys

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import BridgeError
from bridge.hints import exit_fields

logger = logging.getLogger("bridge")

#: The longest wait of a driver's thread for the interpreter, in seconds.
_SWITCH_SECONDS = 0.0005


@click.command()
@with_settings
def run(settings: Settings) -> int:
    """Run the bridge until SIGTERM or SIGINT.

    The first signal waits for the messages in flight and stores the position. A second signal ends
    the process immediately, as a crash would.

    \b
    Example:
      job-bridge run --config /etc/job-bridge.toml --log-format json
    """
    from bridge.app.process import Process

    try:
        process = Process(settings)
        _tune_interpreter()
        return process.run()
    except BridgeError as error:
        logger.error("%s: %s", error.title, error, extra=exit_fields(error.exit_code))
        return error.exit_code


def _tune_interpreter() -> None:
    """Tune the interpreter for a long-running process.

    The imported modules stay, so the garbage collector does not need to scan them.
    """
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
