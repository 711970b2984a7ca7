"""The selection of a replay, and the command that resumes it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
from click.core import ParameterSource

from bridge.clock import exact_iso, unix_time
from bridge.model.position import Position
from bridge.model.transition import Poison, Transition

#: A recovery cursor; only our own output contains them, for update times that are not dates.
CURSOR = re.compile(r"[a-z][0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Selection:
    """The transitions to publish; None and empty select all.

    Attributes:
        job_ids: Only these jobs, in this order.
        since, until: Only transitions of this time span, in Unix seconds.
        states: Only transitions to these states.
        updated: Only jobs that were last updated at this time or later (Unix seconds).
        cursor: Only jobs after this recovery cursor.
    """

    job_ids: Sequence[str]
    since: float | None
    until: float | None
    states: Sequence[str]
    updated: float | None
    cursor: str = ""

    @property
    def updated_since(self) -> float | None:
        """Jobs last updated before this contain no selected transition, or were done before."""
        return max(
            (moment for moment in (self.since, self.updated) if moment is not None), default=None
        )

    def contains(self, item: Transition | Poison) -> bool:
        """Whether ``item`` is selected; one without a readable time belongs to any time span."""
        if self.states and item.state not in self.states:
            return False
        moment = unix_time(item.time)
        return moment is None or (
            (self.since is None or moment >= self.since)
            and (self.until is None or moment <= self.until)
        )


def resume_command(selection: Selection, reached: Position) -> str:
    """Return the command for the jobs that Kafka does not have; empty if it has all."""
    changed: dict[str, Sequence[str]] = {
        "since": (),
        "begin": _option_values(selection.since),
        "end": _option_values(selection.until),
    }
    if selection.job_ids:
        changed["job_ids"] = selection.job_ids[int(reached.recovery_cursor or "0", 16) :]
        return command_line(changed) if changed["job_ids"] else ""
    if updated := updated_from(reached.recovery_cursor):
        changed["updated"] = (updated,)
    return command_line(changed)


def updated_from(cursor: str) -> str:
    """Return the value for ``--updated-from``; empty if no job can be left out safely.

    MongoDB sorts dates after all other types of times, so a time is enough for dates only.
    """
    from bridge.mongo.job_documents import DATE, parse_recovery_cursor

    if not CURSOR.fullmatch(cursor) or not (seconds := parse_recovery_cursor(cursor)[1]):
        return ""  # Several jobs may share this cursor: those without a time, or before 1970.
    return exact_iso(seconds) if cursor.startswith(DATE) else cursor


def command_line(changed: Mapping[str, Sequence[str]]) -> str:
    """Return this command line, quoted for a shell, with the changed options."""
    context = click.get_current_context()
    words = ["job-bridge", "replay"]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = (
            context.params.get(name)
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            else ()
        )
        for value in changed.get(name, given if isinstance(given, tuple) else (given,)):
            words += [
                parameter.opts[0],
                _without_secrets(value) if name == "mongo_uri" else str(value),
            ]
    return shlex.join(words)


def _without_secrets(uri: str) -> str:
    """Replace passwords, because no output may contain them; the operator puts them back."""
    uri = re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:PASSWORD@", uri)
    return re.sub(r"(?i)(password=|token:)[^&,]*", r"\1PASSWORD", uri)


def _option_values(seconds: float | None) -> Sequence[str]:
    return () if seconds is None else (exact_iso(seconds),)
