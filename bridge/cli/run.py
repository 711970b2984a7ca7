"""``job-bridge run``: the service."""

import logging

import click

from bridge.cli.settings import Config, with_settings
from bridge.errors import BridgeError

logger = logging.getLogger("bridge")


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
        return Service(config).run()
    except BridgeError as error:
        logger.error("%s: %s", error.title, error, extra={"exit_code": error.exit_code})
        return error.exit_code
