"""The selected and the sent transitions of a replay, as they are printed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import click

from bridge.cli.output import print_json, report_dead_letters
from bridge.cli.selection import Selection
from bridge.cli.settings import Settings
from bridge.errors import NotFound, Retryable, one_line
from bridge.model.transition import Poison, Transition

#: The number of transitions that cannot be sent that are printed, and kept for ``--json``.
_PRINTED_EXAMPLES = 10
_MAX_EXAMPLES = 1000


@dataclass(slots=True)
class Selected:
    """The selected transitions so far, and the ids that no job has.

    Attributes:
        transitions: How many can be sent.
        unsendable: How many cannot be sent.
        examples: The first of those.
    """

    transitions: int = 0
    unsendable: int = 0
    examples: list[Poison] = field(default_factory=list)
    unknown_ids: list[str] = field(default_factory=list)

    def sendable(self, items: Iterable[Transition | Poison]) -> list[Transition]:
        """Count the selected transitions of a job; return those that can be sent."""
        sendable: list[Transition] = []
        for item in items:
            if isinstance(item, Transition):
                sendable.append(item)
                continue
            self.unsendable += 1
            if len(self.examples) < _MAX_EXAMPLES:
                self.examples.append(item)
        self.transitions += len(sendable)
        return sendable

    def unknown(self, settings: Settings) -> str:
        from bridge.model.profile import namespace_of

        ids = self.unknown_ids
        jobs = "this job does" if len(ids) == 1 else f"these {len(ids)} jobs do"
        return f"{jobs} not exist in {namespace_of(settings)}: {', '.join(ids)}"

    def raise_not_found(self, settings: Settings, selection: Selection, *, finished: bool) -> None:
        """Raise ``NotFound`` for unknown jobs, and for a finished replay that selected nothing.

        A resumed replay may have nothing left to send.
        """
        if self.unknown_ids:
            raise NotFound(
                self.unknown(settings),
                f"The other jobs have {self.transitions + self.unsendable} matching transitions",
                "Check the ids, mongo.database, mongo.collection and jobs.profile",
            )
        if self.transitions or self.unsendable or selection.updated or selection.cursor:
            return
        if finished:
            raise NotFound(
                "no transition matches"
                + (": these jobs exist without one" if selection.job_ids else ""),
                "Nothing was sent",
                "Give another time span or state, or check mongo.database, mongo.collection and "
                "jobs.profile",
            )


class ReplayResult(NamedTuple):
    """How far a replay got.

    Attributes:
        dry_run: Whether the messages were printed only.
        messages: How many messages were sent, or printed by a dry run.
        dead_lettered: How many dead letters were sent instead of messages.
        finished: Whether it reached its end.
        resume: The command that sends the remaining messages; empty after the end.
    """

    dry_run: bool
    messages: int
    dead_lettered: int
    finished: bool
    resume: str

    def exit_code(self, selected: Selected) -> int:
        """Return the code of a replay that was not interrupted."""
        return Retryable.exit_code if self.dead_lettered or selected.unsendable else 0

    def print_json(self, topic: str, selected: Selected) -> None:
        print_json(
            {
                "topic": topic,
                **self._asdict(),
                "unsendable": selected.unsendable,
                "examples": [
                    {"job_id": item.job_id, "trans_id": item.trans_id, "reason": item.reason}
                    for item in selected.examples
                ],
                "unknown_jobs": selected.unknown_ids,
            }
        )

    def print(self, topic: str, selected: Selected) -> None:
        _print_unsendable(selected)
        if self.dry_run:
            if self.finished:
                click.echo(f"{self.messages} messages would be sent; nothing was sent", err=True)
            return
        report_dead_letters(topic, self.dead_lettered)
        click.echo(f"{self.messages} messages sent to {topic}")
        if self.resume:
            click.echo(f"stopped; to resume: {self.resume}", err=True)


def _print_unsendable(selected: Selected) -> None:
    for item in selected.examples[:_PRINTED_EXAMPLES]:
        line = f"job {item.job_id or '?'}: a transition cannot be sent: {item.reason}"
        click.echo(one_line(line), err=True)
    if (more := selected.unsendable - _PRINTED_EXAMPLES) > 0:
        click.echo(f"and {more} more; --json names up to {_MAX_EXAMPLES}", err=True)
