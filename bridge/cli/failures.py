"""Prints why a command failed: as a line, or as a JSON object with ``--json``."""

import json
from typing import NamedTuple

import click

from bridge.errors import BridgeError, Retryable, Usage
from bridge.hints import exit_fields, runbook


class Failure(NamedTuple):
    """A failure in the clauses of an error line.

    Attributes:
        title: The name of the exit code.
        what: What happened.
        meaning: What it means for the data.
        action: What to do.
        exit_code: The exit code of the command.
        text: All clauses as the error prints them, possibly on several lines; empty to join them.
    """

    title: str
    what: str
    meaning: str
    action: str
    exit_code: int
    text: str = ""

    def line(self) -> str:
        """Return the failure as text, usually a single line; it ends with where to read on."""
        clauses = (self.what, self.meaning, self.action)
        text = self.text or ". ".join(clause for clause in clauses if clause)
        return f"job-bridge: {self.title}: {text}. {read_on(self.exit_code)}"

    def document(self) -> str:
        """Return the failure as a JSON object on a single line."""
        return json.dumps(
            {
                "error": self.title,
                "what": self.what,
                "meaning": self.meaning,
                "do": self.action,
                **exit_fields(self.exit_code),
            }
        )


def read_on(exit_code: int) -> str:
    """Return the sentence that names the runbook's section for an exit code."""
    return f"Exit code {exit_code}: '{runbook(exit_code)}' says more"


def report(failure: Failure, *, as_json: bool) -> None:
    """Print a failure on standard error."""
    click.echo(failure.document() if as_json else failure.line(), err=True)


def failure_of(error: BridgeError) -> Failure:
    """Return the failure of a command that has ended, so that nothing is retried."""
    title = "temporary failure" if isinstance(error, Retryable) else error.title
    return Failure(title, error.what, error.data, error.todo, error.exit_code, str(error))


def usage_failure(error: click.ClickException) -> Failure:
    """Return the failure of a command line that click refuses."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "job-bridge"
    message = error.format_message().rstrip(".")
    return Failure(
        Usage.title,
        message,
        "Nothing was read or sent",
        f"'{command} --help' shows the usage",
        Usage.exit_code,
    )


def disk_failure(reason: str | None) -> Failure:
    """Return the failure of an output that cannot be written."""
    return Failure(
        "cannot write the output",
        str(reason),
        "Completed work stays done; the rest of the output is missing",
        "",
        Retryable.exit_code,
    )


def bug_failure(error: Exception) -> Failure:
    """Return the failure of an exception that no part of the bridge expected."""
    return Failure(
        "bug",
        f"This is a bug in job-bridge ({type(error).__name__})",
        "Nothing is lost: the next start resumes from the last stored position",
        "Report it with the traceback in the log",
        BridgeError.exit_code,
    )
