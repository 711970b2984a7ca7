"""The options that all commands share: the settings file and the common settings."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import click
from click.shell_completion import CompletionItem
from pydantic_core import PydanticUndefined

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


#: The commands that run until they are stopped, under a supervisor.
_SERVICES = frozenset({"run", "sweep"})
#: Usual values of settings that accept others too, for the completion of the shell.
_SUGGESTED = {"start.from": ("now", "history")}
#: Groups of options, by the use that a command makes of them.
COLLECTION = ("mongo.", "jobs.profile")
JOBS = ("mongo.", "jobs.")
KAFKA = ("kafka.bootstrap_servers", "kafka.topic")
CHECKPOINT = ("checkpoint.store", "checkpoint.name", "checkpoint.file")
MODE = ("delivery.mode",)


class Given(NamedTuple):
    """The settings file and the shared options of a command, before they are read."""

    path: Path | None
    options: dict[str, Any]


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command, and pass it the validated settings as ``settings``.

    Sets up the log as well. Raises ``Misconfigured`` with all problems together.
    """
    return with_settings_of("")(command)


def with_settings_of(*used: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the shared options to a command whose help shows only those that it uses.

    The others stay accepted, so that the same options fit every command. The rules on the fields
    of the jobs apply only if the command uses these.

    Args:
        used: The names of the settings that the command uses, or their beginnings.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def loaded(given: Given, **values: Any) -> Any:
            settings = load(*given, used=used)
            log, name = settings.log, settings.checkpoint.name
            logs.set_up(_log_format(log.format), log.level, bridge=name)
            for text in warnings(given.options):
                logger.warning("%s", text)
            return command(settings=settings, **values)

        return with_options(loaded, (*used, "log."))

    return decorate


def _log_format(log_format: str) -> str:
    """Return the format of the log of this command.

    Only services write a log for a log store. The lines of other commands stand between their
    output, and are for people.
    """
    is_service = click.get_current_context().info_name in _SERVICES
    return "plain" if log_format == "auto" and not is_service else log_format


def with_options(command: Callable[..., Any], used: tuple[str, ...] = ("",)) -> Callable[..., Any]:
    """Add the shared options to a command, and pass it their values as ``given``.

    Args:
        command: The command.
        used: The names that the help shows, or their beginnings.
    """

    @functools.wraps(command)
    def gathered(config: Path | None, insecure: bool, **values: Any) -> Any:
        options = {name: values.pop(_parameter(name)) for name in COMMON}
        options["mongo.insecure"] = "yes" if insecure else None
        options = {name: value for name, value in options.items() if value is not None}
        return command(given=Given(config, options), **values)

    shared: Callable[..., Any] = gathered
    for name in reversed(COMMON):
        shared = _option(name, is_hidden=not name.startswith(used))(shared)
    is_hidden = not "mongo.uri".startswith(used)
    shared = click.option("--insecure", is_flag=True, hidden=is_hidden, help=INSECURE)(shared)
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="JOB_BRIDGE_CONFIG",
        help="Settings file (TOML); also as JOB_BRIDGE_CONFIG in the environment.",
    )(shared)


def _option(name: str, *, is_hidden: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    field = setting_names()[name]
    choices = _choices(field)
    return click.option(
        option(name),
        _parameter(name),
        metavar=f"[{'|'.join(choices)}]" if choices else "VALUE",
        default=None,
        hidden=is_hidden,
        help=f"{field.description}{_default(field)}",
        shell_complete=_completion(name, choices or _SUGGESTED.get(name, ())),
    )


def _choices(field: Any) -> tuple[str, ...]:
    """Return the values of a setting that has a fixed list of them."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _default(field: Any) -> str:
    default = field.default
    return "" if default in ("", None, PydanticUndefined) else f" [default: {default}]"


def _completion(name: str, choices: tuple[str, ...]) -> Callable[..., list[CompletionItem]] | None:
    if name == "checkpoint.file":
        return lambda *_: [CompletionItem("", type="file")]
    return completing(*choices) if choices else None


def completing(*values: str) -> Callable[..., list[CompletionItem]]:
    """Return the completion of a parameter by its usual values."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
        return [CompletionItem(value) for value in values if value.startswith(typed)]

    return complete


def _parameter(name: str) -> str:
    return name.replace(".", "_")


__all__ = [
    "CHECKPOINT",
    "COLLECTION",
    "COMMON",
    "INSECURE",
    "JOBS",
    "KAFKA",
    "MODE",
    "Given",
    "Settings",
    "completing",
    "with_options",
    "with_settings",
    "with_settings_of",
]
