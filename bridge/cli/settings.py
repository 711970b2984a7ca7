"""The options that all commands share: the settings file and the common settings."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from bridge import logs
from bridge.settings import Settings, load
from bridge.settings.load import setting_names, warnings
from bridge.settings.names import option

logger = logging.getLogger("bridge")

#: The settings that are options too. All others, and all passwords, belong in the file or the
#: environment.
COMMON = (
    "mongo.uri",
    "mongo.database",
    "mongo.collection",
    "jobs.profile",
    "kafka.bootstrap_servers",
    "kafka.topic",
    "kafka.headers",
    "delivery.mode",
    "checkpoint.store",
    "checkpoint.name",
    "checkpoint.file",
    "checkpoint.interval_seconds",
    "start.from",
    "recovery.on_history_lost",
    "http.host",
    "http.port",
    "log.format",
    "log.level",
)
#: The help of ``--insecure``, which sets mongo.insecure.
INSECURE = "Accept a mongo.uri with which TLS does not check MongoDB's certificate."


class Given(NamedTuple):
    """The settings file and the shared options of a command, before they are read."""

    path: Path | None
    options: dict[str, Any]


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command, and pass it the validated settings as ``settings``.

    Sets up the log as well. Raises ``Misconfigured`` with all problems together.
    """

    @functools.wraps(command)
    def loaded(given: Given, **values: Any) -> Any:
        settings = load(*given)
        logs.set_up(settings.log.format, settings.log.level)
        for text in warnings(given.options):
            logger.warning("%s", text)
        return command(settings=settings, **values)

    return with_options(loaded)


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command, and pass it their values as ``given``."""

    @functools.wraps(command)
    def gathered(config: Path | None, insecure: bool, **values: Any) -> Any:
        options = {name: values.pop(_parameter(name)) for name in COMMON}
        options["mongo.insecure"] = "yes" if insecure else None
        options = {name: value for name, value in options.items() if value is not None}
        return command(given=Given(config, options), **values)

    for name in reversed(COMMON):
        gathered = click.option(
            option(name),
            _parameter(name),
            metavar="VALUE",
            default=None,
            help=str(setting_names()[name].description),
        )(gathered)
    gathered = click.option("--insecure", is_flag=True, help=INSECURE)(gathered)
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="JOB_BRIDGE_CONFIG",
        help="Settings file (TOML); also as JOB_BRIDGE_CONFIG in the environment.",
    )(gathered)


def _parameter(name: str) -> str:
    return name.replace(".", "_")


__all__ = ["COMMON", "INSECURE", "Given", "Settings", "with_options", "with_settings"]
