"""``job-bridge run``: runs the bridge."""

import gc
import logging
import sys

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import BridgeError, Usage
from bridge.hints import exit_fields

logger = logging.getLogger("bridge")

#: The longest wait of a driver's thread for the interpreter, in seconds.
_SWITCH_SECONDS = 0.0005


@click.command()
@click.option(
    "--until",
    type=click.Choice(["now"]),
    help="Deliver everything that was written before this start, then end with 0; for cron and "
    "tests. Without it the bridge runs until it is stopped.",
)
@with_settings
def run(settings: Settings, until: str | None) -> int:
    """Run the bridge until SIGTERM or SIGINT.

    The first signal waits for the messages in flight and stores the position. A second signal ends
    the process immediately, as a crash would. SIGUSR1 pauses, SIGUSR2 resumes: meanwhile nothing
    is read or sent, and the checkpoint stays owned.

    With --until now it ends by itself, with 0, once everything up to the cluster time of its start
    is in Kafka; on an idle cluster that takes up to 10 seconds. Meanwhile it recovers and retries
    as always. If another bridge owns the checkpoint it ends at once, with 76; with 75, if messages
    were lost in fire-and-forget.

    \b
    Example:
      job-bridge run --config /etc/job-bridge.toml --log-format json
      job-bridge run --config /etc/job-bridge.toml --until now
    """
    from bridge.app.process import Process

    try:
        if until:
            _require_position(settings)
        process = Process(settings, until_now=bool(until))
        _tune_interpreter()
        return process.run()
    except BridgeError as error:
        logger.error("%s: %s", error.title, error, extra=exit_fields(error.exit_code))
        return error.exit_code


def _require_position(settings: Settings) -> None:
    if settings.keeps_no_position:
        raise Usage(
            f"--until needs a position, and delivery.mode = {settings.delivery.mode} keeps none",
            "Nothing was read or sent",
            "'job-bridge sweep --once' sends the tagged transitions, then ends",
        )


def _tune_interpreter() -> None:
    """Tune the interpreter for a long-running process.

    The imported modules stay, so the garbage collector does not need to scan them.
    """
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
