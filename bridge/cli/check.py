"""``job-bridge check``: every precondition, one line each."""

import json
import os
from dataclasses import asdict

import click

from bridge.cli.settings import Settings, with_settings

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="a list of {level, subject, text, todo, exit_code}"
)
@with_settings
def check(settings: Settings, as_json: bool) -> int:
    """Look at every precondition without changing anything; one line each: ok, warning or failure, and what to do.

    Exits 0 without failures, else with the code 'run' would give for the first one.

    \b
    Example:
      job-bridge check --config /etc/job-bridge.toml
    """
    from bridge.app.preflight import preflight

    findings = preflight(settings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        colour = (
            False if os.environ.get("NO_COLOR") else None
        )  # no-color.org; None: as the terminal has it
        for finding in findings:
            level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
            todo = f" -> {finding.todo}" if finding.todo else ""
            click.echo(f"{level} {finding.subject:12} {finding.text}{todo}", color=colour)
    return next((finding.exit_code for finding in findings if finding.level == "failure"), 0)
