"""The options that commands share: the settings file, and the common settings."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bridge import logs
from bridge.settings import Settings, load
from bridge.settings.load import option, setting_names

#: Settings that are options too; the rest are for the file and the environment, secrets above all.
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


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options, and hand it the checked :class:`Settings` as ``config``.

    Sets up the log as the settings ask. Raises ``Misconfigured`` with every problem at once.
    """

    @functools.wraps(command)
    def loaded(config: Path | None, **values: Any) -> Any:
        given = {name: values.pop(_parameter(name)) for name in COMMON}
        settings = load(config, {name: value for name, value in given.items() if value is not None})
        logs.set_up(settings.log.format, settings.log.level)
        return command(settings=settings, **values)

    for name in reversed(COMMON):
        loaded = click.option(
            option(name),
            _parameter(name),
            metavar="VALUE",
            default=None,
            help=str(setting_names()[name].description),
        )(loaded)
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="JOB_BRIDGE_CONFIG",
        help="settings file (TOML); also JOB_BRIDGE_CONFIG",
    )(loaded)


def _parameter(name: str) -> str:
    return name.replace(".", "_")


__all__ = ["COMMON", "Settings", "with_settings"]
