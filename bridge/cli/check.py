"""``job-bridge check``: tests all preconditions."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bridge.cli.output import json_option
from bridge.cli.settings import CHECKPOINT, JOBS, KAFKA, MODE, Settings, with_settings_of
from bridge.errors import one_line

if TYPE_CHECKING:  # imported late: the clients would slow down the help
    from bridge.app.finding import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command()
@json_option("Print a JSON list of {level, subject, text, todo, exit_code}.")
@with_settings_of(*JOBS, *KAFKA, *MODE, *CHECKPOINT, "start.", "recovery.", "http.")
def check(settings: Settings, as_json: bool) -> int:
    """Check all preconditions of 'run', without changing anything.

    Prints a line per check: ok, warning or failure, and the action to take. Exits 0 without
    failures, else with the exit code that 'run' would have for the first failure.

    \b
    Example:
      job-bridge check --config /etc/job-bridge.toml
    """
    from bridge.app.preflight import preflight

    findings = preflight(settings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        print_findings(findings)
    return first_failure(findings)


def print_findings(findings: Sequence["Finding"], *, err: bool = False) -> None:
    """Print a line per finding, coloured on a terminal."""
    # https://no-color.org; None: click decides by the terminal.
    colour = False if os.environ.get("NO_COLOR") else None
    for finding in findings:
        level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
        todo = f" -> {finding.todo}" if finding.todo else ""
        # It may name job ids and collections.
        text = one_line(f"{finding.text}{todo}")
        click.echo(f"{level} {finding.subject:12} {text}", err=err, color=colour)


def first_failure(findings: Sequence["Finding"]) -> int:
    """Return the exit code of the first failure, or 0."""
    return next((finding.exit_code for finding in findings if finding.level == "failure"), 0)
