"""The command line: one file per command."""

import errno
import gc
import io
import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from bridge import __version__
from bridge.cli.failures import (
    bug_failure,
    disk_failure,
    failure_of,
    read_on,
    report,
    usage_failure,
)
from bridge.errors import RETRIED, BridgeError, Retryable, Usage
from bridge.hints import exit_fields

#: A shell's exit codes after SIGINT, and after SIGPIPE, when the reader of the output has ended.
INTERRUPTED, OUTPUT_CLOSED = 130, 141
#: Errors of a full or broken disk.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
#: In the order of the help. A command's file and function have its name.
COMMANDS = (
    "init",
    "run",
    "check",
    "config",
    "status",
    "tail",
    "verify",
    "replay",
    "notify",
    "sweep",
    "dead-letters",
    "token",
    "topics",
    "demo",
)
#: More objects than the imports, the window and the batches that were read ahead: otherwise each
#: collection would scan all of them in vain. With the default of 700, collections take a twentieth
#: of the start and a sixth of the time per message.
_COLLECT_AFTER = 100_000


class _Group(click.Group):
    """Maps errors to a line and an exit code (usage errors: 64, not click's 2).

    Imports only the command that runs.
    """

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(
            import_module(f"bridge.cli.{name.replace('-', '')}"), name.replace("-", "_")
        )
        return command

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(context, args)
        except click.NoSuchOption as error:
            raise click.UsageError(
                f"No such option '{error.option_name}' before the command. Options follow the "
                f"command: job-bridge COMMAND {error.option_name}",
                error.ctx,
            ) from None

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            # click looks for the nearest name among imported commands only.
            if not (near := get_close_matches(arguments[0], COMMANDS, 1)):
                raise
            raise click.UsageError(
                f"No such command '{arguments[0]}'. Did you mean '{near[0]}'?", error.ctx
            ) from None

    def main(self, *arguments: Any, **options: Any) -> Any:
        gc.set_threshold(_COLLECT_AFTER, 20, 100)
        options["standalone_mode"] = False
        _open_streams()
        words = arguments[0] if arguments else options.get("args")
        as_json = "--json" in (sys.argv[1:] if words is None else words)
        try:
            _check_text(sys.argv)
            code = super().main(*arguments, **options)
        except click.exceptions.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            if as_json:
                report(usage_failure(error), as_json=True)
            else:
                error.show()
                click.echo(read_on(Usage.exit_code), err=True)
            sys.exit(Usage.exit_code)
        except BridgeError as error:
            report(failure_of(error), as_json=as_json)
            sys.exit(error.exit_code)
        except Exception as error:
            sys.exit(_end_unexpectedly(error, as_json=as_json))
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:  # click would exit with 1, which has no meaning here.
            _discard_output()
            return OUTPUT_CLOSED
        except Retryable as error:
            raise (
                error if context.invoked_subcommand in ("run", "demo") else _without_retry(error)
            ) from None


def _end_unexpectedly(error: Exception, *, as_json: bool) -> int:
    """Report an exception that is not an error of the bridge; return the exit code."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        _discard_output()
        report(disk_failure(error.strerror), as_json=as_json)
        return Retryable.exit_code
    logging.getLogger("bridge").error(
        "this is a bug in job-bridge, please report it with this traceback; "
        "nothing is lost: the next start resumes from the last stored position",
        exc_info=error,
        extra=exit_fields(BridgeError.exit_code),
    )
    if as_json:
        report(bug_failure(error), as_json=True)
    return BridgeError.exit_code


def _without_retry(error: Retryable) -> Retryable:
    """Return the error for a command that ends: nothing retries by itself."""
    if not error.todo.endswith(RETRIED):
        return error
    todo = error.todo.removesuffix(RETRIED).rstrip(". ")
    return Retryable(
        error.what,
        "Completed work stays done; nothing else was changed",
        f"{todo}, then try again" if todo else "Try again",
        part=error.part,
    )


def _discard_output() -> None:
    """Discard the buffered output, which Python would try to write again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams() -> None:
    """Make both streams usable: they may be closed, or unable to encode some characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            encoding = sys.getfilesystemencoding()
            raise Usage(
                f"{argument!r} is not valid text in this locale's encoding ({encoding})",
                "Nothing was read or sent",
                "Use UTF-8, in a locale that supports it",
            ) from None


def _show_version(context: click.Context, _: click.Parameter, requested: bool) -> None:
    if requested and not context.resilient_parsing:
        from bridge.observability.build import git_commit

        commit = git_commit()
        click.echo(f"job-bridge, version {__version__}" + (f" (commit {commit})" if commit else ""))
        context.exit()


@click.group(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and, where it is known, the commit; then exit.",
)
def main() -> None:
    """Publish every state transition of a job in MongoDB to Kafka.

    \b
    Settings come from a TOML file (--config), from JOB_BRIDGE_SECTION_NAME in
    the environment, and from options; options override the environment, and
    the environment overrides the file. A secret may be in a file:
    JOB_BRIDGE_MONGO_PASSWORD_FILE=/run/secrets/mongo.

    \b
    With --json, results are JSON on standard output, and an error is a JSON
    object on standard error: {error, what, meaning, do, exit_code, runbook}.

    \b
    Exit codes: 0 success, 64 usage, 66 not found, 70 bug, 75 try again,
    76 another bridge took over, 77 not permitted, 78 configuration, 80 history
    lost, 82 poison event, 83 checkpoint unusable, 130 interrupted, 141 output
    closed.
    """
