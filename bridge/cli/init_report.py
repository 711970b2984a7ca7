"""The report of ``job-bridge init``: the evidence, the open decisions and the checks."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from bridge.app.finding import Finding
from bridge.cli.check import print_findings
from bridge.errors import one_line
from bridge.model.detection.candidates import Candidate
from bridge.model.detection.proposal import Proposal
from bridge.model.profile import namespace_of, profile_of
from bridge.mongo.collection_sample import CollectionSample
from bridge.settings import Settings
from bridge.settings.names import option, variable

_HEADER = ("", "setting", "field", "in", "types", "evidence")
#: Candidates of a setting that are printed; ``--json`` has all of them.
_MAX_CANDIDATES = 6


class Report:
    """The result of the command, printed as text or as a JSON object.

    Attributes:
        text: the settings file; empty while a setting is undecided.
        file: the path to which it was written; empty if it was not.
        secrets: the given settings that the file does not contain.
        overridden: a sentence for each setting of the file that the environment overrides.
        settings: the settings that the file gives, with the secrets.
    """

    def __init__(self, settings: Settings, sample: CollectionSample, proposal: Proposal) -> None:
        self.namespace = namespace_of(settings)
        self.collection = profile_of(settings).collection
        self.settings = settings
        self.sample = sample
        self.proposal = proposal
        self.text = ""
        self.file = ""
        self.secrets: Sequence[str] = ()
        self.overridden: Sequence[str] = ()
        self.findings: Sequence[Finding] = ()
        self.checks_kafka = True
        self.exit_code = 0

    def show(self, *, as_json: bool) -> None:
        """Print the report. Without ``--json`` a file that is not written is printed alone."""
        if as_json:
            click.echo(json.dumps(self._document(), indent=1))
            return
        is_dry_run = bool(self.text) and not self.file
        for line in self._lines():
            click.echo(line, err=is_dry_run)
        print_findings(self.findings, err=is_dry_run)
        if is_dry_run:
            click.echo(self.text, nl=False)
        for line in self._last_lines():
            click.echo(line, err=is_dry_run)

    def _lines(self) -> Iterator[str]:
        count, newest = len(self.sample.documents), self.sample.newest
        random = f", {count - newest} random" if count > newest else ""
        yield f"sample of {self.namespace}: {count} documents ({newest} newest{random})"
        if self.sample.note:
            yield f"note: {one_line(self.sample.note)}"
        yield from _table(self._rows())
        yield from (f"note: {one_line(note)}" for note in self.proposal.notes)
        for undecided in self.proposal.undecided:
            name = option(f"jobs.{undecided.setting}")
            reason, todo = one_line(undecided.reason), one_line(undecided.todo)
            yield f"undecided jobs.{undecided.setting}: {reason} -> {todo} ({name})"

    def _rows(self) -> Iterator[Sequence[str]]:
        shown: dict[str, int] = {}
        ordered = sorted(self.proposal.candidates, key=self._rank)
        for candidate in ordered:
            shown[candidate.setting] = shown.get(candidate.setting, 0) + 1
            if shown[candidate.setting] <= _MAX_CANDIDATES:
                yield (
                    "*" if self.proposal.proposes(candidate) else "",
                    candidate.setting,
                    one_line(candidate.field),
                    f"{candidate.seen}/{candidate.of}",
                    candidate.types,
                    _evidence(candidate),
                )

    def _rank(self, candidate: Candidate) -> tuple[int, bool, bool, float]:
        """Return the order of the rows: by setting, the proposed first, the unusable last."""
        settings = list(dict.fromkeys(other.setting for other in self.proposal.candidates))
        return (
            settings.index(candidate.setting),
            not self.proposal.proposes(candidate),
            bool(candidate.problem),
            -candidate.score,
        )

    def _last_lines(self) -> Iterator[str]:
        for name in self.secrets:
            yield f"{name} is not written: set {variable(name)} or {variable(name)}_FILE"
        if not self.text:
            return
        yield from (f"warning: {one_line(text)}" for text in self.overridden)
        if not self.checks_kafka:
            yield (
                "Kafka was not checked: set kafka.bootstrap_servers and kafka.topic in the file, "
                "then run 'job-bridge check'"
            )
        if self.file:
            yield f"wrote {self.file}"
            yield f"next: job-bridge {'check' if self.exit_code else 'run'} --config " + (
                shlex.quote(self.file)
            )

    def _document(self) -> dict[str, Any]:
        proposal = self.proposal
        return {
            "collection": self.namespace,
            "sample": {
                "documents": len(self.sample.documents),
                "newest": self.sample.newest,
                "note": self.sample.note,
            },
            "jobs": proposal.jobs,
            "candidates": [
                {**candidate._asdict(), "proposed": proposal.proposes(candidate)}
                for candidate in proposal.candidates
            ],
            "undecided": [
                {**undecided._asdict(), "setting": f"jobs.{undecided.setting}"}
                for undecided in proposal.undecided
            ],
            "notes": proposal.notes,
            "settings": self.text,
            "file": self.file,
            "secrets": self.secrets,
            "overridden": self.overridden,
            "findings": [asdict(finding) for finding in self.findings],
            "exit_code": self.exit_code,
        }


def _evidence(candidate: Candidate) -> str:
    return f"unusable: {candidate.problem}" if candidate.problem else candidate.evidence


def _table(rows: Iterator[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; nothing without rows."""
    cells = [_HEADER, *([one_line(cell) for cell in row] for row in rows)]
    if len(cells) == 1:
        return
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADER) - 1)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        yield f"{' '.join(padded)} {row[-1]}".rstrip()
