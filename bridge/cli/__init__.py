"""The command line: one file a command."""

import errno
import gc
import io
import logging
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from bridge import __version__
from bridge.errors import BridgeError, Retryable, Usage

BUG = BridgeError.exit_code
#: As a shell has it for what a signal ended: SIGINT, and SIGPIPE where whoever reads the output has seen enough.
INTERRUPTED, UNHEARD = 130, 141
#: What a disk says that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
#: In the order of the help. A command's file and function are called as it is.
COMMANDS = (
    "run",
    "check",
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
#: More objects than imports make, or window and batches ahead hold: else each collection would look through all of it in vain.
#: After every 700, as is the default, collecting takes a twentieth of the start and a sixth of the time of a message.
_COLLECT_AFTER = 100_000


class _Group(click.Group):
    """Maps errors to one line and an exit code; usage errors are 64, not click's 2. Imports the command that is asked for."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(
            import_module(f"bridge.cli.{name.replace('-', '')}"), name.replace("-", "_")
        )
        return command

    def main(self, *arguments: Any, **options: Any) -> Any:
        gc.set_threshold(_COLLECT_AFTER, 20, 100)
        options["standalone_mode"] = False
        _open_streams()
        try:
            _check_text(sys.argv)
            code = super().main(*arguments, **options)
        except click.exceptions.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(Usage.exit_code)
        except BridgeError as error:
            click.echo(f"job-bridge: {error.title}: {error}", err=True)
            sys.exit(error.exit_code)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                _write_no_more()
                click.echo(
                    f"job-bridge: cannot write: {error.strerror}. What was done is done; the rest of the output is missing",
                    err=True,
                )
                sys.exit(Retryable.exit_code)
            logging.getLogger("bridge").exception(
                "this is a bug: nothing is lost, the next start goes on from the last stored position"
            )
            sys.exit(BUG)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:  # click would end with 1, which says nothing
            _write_no_more()
            return UNHEARD
        except Retryable as error:
            raise (
                error if context.invoked_subcommand in ("run", "demo") else _ended_by(error)
            ) from None


def _ended_by(error: Retryable) -> Retryable:
    """The same, from a command that ends with it: what a running bridge does then, it does not."""
    todo = re.sub(
        "(; )?a running bridge tries again by itself$", "", error.todo, flags=re.IGNORECASE
    )
    if todo == error.todo:
        return error
    return Retryable(
        error.what,
        "What was done before that stays done, nothing else was",
        f"{todo}, then try again" if todo else "Try again",
        part=error.part,
    )


def _write_no_more() -> None:
    """What is not written yet would be tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams() -> None:
    """They may be closed, or know only a few letters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_text(arguments: Sequence[str]) -> None:
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError:
            raise Usage(
                f"{each!r} is no text in this locale's encoding ({sys.getfilesystemencoding()})",
                "Nothing was read or sent",
                "Give UTF-8, in a locale that has it",
            ) from None


@click.group(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="job-bridge")
def main() -> None:
    """Tell Kafka of every state transition of a job in MongoDB.

    \b
    Settings come from a TOML file (--config), JOB_BRIDGE_SECTION_NAME in the
    environment, and options, the later the stronger. Secrets may be in files:
    JOB_BRIDGE_MONGO_PASSWORD_FILE=/run/secrets/mongo.

    \b
    Exit codes: 0 clean, 64 usage, 70 bug, 75 try again, 76 another bridge took
    over, 77 not permitted, 78 configuration, 80 history lost, 82 poison event,
    83 checkpoint unusable; 130 interrupted, 141 nobody reads the output.
    """
