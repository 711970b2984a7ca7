"""The options of the commands that change a checkpoint by hand: a dry run, JSON, no question."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from bridge.cli.output import dry_run_option, json_option
from bridge.cli.settings import with_settings_of
from bridge.errors import Usage

UNCHANGED = "The checkpoint is unchanged"


@dataclass(frozen=True, slots=True)
class Answers:
    """The options that decide whether the checkpoint is changed, and the form of the output."""

    yes: bool
    dry_run: bool
    as_json: bool

    @property
    def asks(self) -> bool:
        """Whether to ask before the change."""
        return not (self.yes or self.dry_run)

    def confirm(self, question: str) -> None:
        """Ask; raise ``Abort`` unless the answer is yes."""
        if not click.confirm(question):
            click.echo("nothing was changed", err=True)
            raise click.Abort


def changing(*used: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of a change, passed as ``answers``.

    Args:
        used: The names of the settings that the command uses, or their beginnings.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def answered(yes: bool, dry_run: bool, as_json: bool, **values: Any) -> Any:
            if as_json and not (yes or dry_run):
                raise Usage("--json asks no question: give --yes or --dry-run", UNCHANGED)
            return command(answers=Answers(yes, dry_run, as_json), **values)

        decorated: Callable[..., Any] = answered
        for option in (
            with_settings_of(*used),
            json_option("Print {name, old, new, effect, warnings, changed} as JSON."),
            dry_run_option("Say what would change; change nothing."),
            click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
        ):
            decorated = option(decorated)
        return decorated

    return decorate
