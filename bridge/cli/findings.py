"""Prints the findings of ``job-bridge verify``."""

import json
import math
from typing import Any

import click

from bridge.clock import iso
from bridge.errors import one_line
from bridge.hints import Hint
from bridge.verification.comparison import Findings

#: The number of examples of each kind that is printed.
_PRINTED_EXAMPLES = 10
#: The kinds of findings by their key in ``--json``, and how they are printed.
_KINDS = {
    "missing": "missing",
    "repeated": "duplicates",
    "out_of_order": "out of order",
    "strange": "unexpected",
    "wrong": "wrong",
    "set_aside": "dead letters",
}


def show(findings: Findings, topic: str, as_json: bool, sent: int | None) -> None:
    """Print the last findings; ``sent`` is the number of repaired transitions, if any."""
    if as_json:
        click.echo(json.dumps(_document(findings, sent or 0)))
        return
    if findings.empty:
        return
    if sent is not None:
        click.echo(f"{sent} missing transitions were sent; after that:")
    print_findings(findings, topic)
    if not findings.complete and findings.compacted:
        click.echo(f"nothing was sent; '{Hint.REPLAY_JOB}' sends the history of a job")
    elif not findings.complete and sent is None:
        span = f"--from {iso(findings.span.since)} --to {iso(math.ceil(findings.span.until))}"
        click.echo(
            f"nothing was sent; '{Hint.VERIFY_REPAIR} {span}' with the same settings sends the "
            "missing transitions"
        )
    if remaining := findings.counts["strange"] + findings.counts["wrong"]:
        click.echo(
            f"{remaining} unexpected or wrong messages stay in the topic until its retention "
            "removes them, because Kafka cannot remove single messages. If no job or entry of a "
            "history was removed since, another program wrote them: stop it, and correct the "
            "consumers that used them"
        )


def print_findings(findings: Findings, topic: str) -> None:
    """Print the counts and some examples of each kind."""
    counts = findings.counts
    click.echo(
        f"{iso(findings.span.since)} to {iso(findings.span.until)}: "
        f"{counts['transitions']} transitions in the jobs, "
        f"{counts['messages']} messages in {topic}"
    )
    for kind, label in _KINDS.items():
        click.echo(f"  {label:13} {counts[kind]}")
        _print_examples(findings, kind)
    if findings.late is not None:
        share = findings.late / max(1, counts["transitions"])
        click.echo(f"  {'late':13} {findings.late} ({share:.3%})")
    if counts["shared_ids"]:
        click.echo(
            f"job ids that several documents have: {counts['shared_ids']}; consumers cannot "
            "distinguish these jobs:"
        )
        _print_examples(findings, "shared_ids")


def _print_examples(findings: Findings, kind: str) -> None:
    for example in findings.examples[kind][:_PRINTED_EXAMPLES]:
        click.echo(f"      {one_line(example)}")
    if (more := findings.counts[kind] - _PRINTED_EXAMPLES) > 0 and kind != "repeated":
        click.echo(f"      and {more} more; --json names up to 1000")


def _document(findings: Findings, sent: int) -> dict[str, Any]:
    since, until = findings.span
    return {
        "since": iso(since),
        "until": iso(until),
        "repaired": sent,
        "compacted": findings.compacted,
        **findings.counts,
        "late": findings.late,
        "examples": findings.examples,
    }
