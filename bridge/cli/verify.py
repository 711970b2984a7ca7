"""``job-bridge verify``: whether Kafka has every transition."""

import json
import threading
import time
from datetime import datetime, timezone
from typing import Any

import click

from bridge.cli.progress import bars
from bridge.cli.settings import Config, with_settings
from bridge.cli.times import span
from bridge.errors import Retryable
from bridge.pipeline.verification import Findings, Span

_KINDS = ("missing", "repeated", "out_of_order", "strange", "set_aside")


@click.command()
@click.option("--since", metavar="WHEN", help="from when on: 24h, 7d, or an ISO 8601 time with its zone; default: 24h")
@click.option("--from", "begin", metavar="WHEN", help="the same, for use with --to")
@click.option("--to", "end", metavar="WHEN", help="up to when; default: now. The last verify.settle_seconds are left out")
@click.option("--repair", is_flag=True, help="send what is missing, in order, with ce_origin replay, and compare again")
@click.option("--json", "as_json", is_flag=True, help="the findings as one JSON document")
@with_settings
def verify(
    config: Config, since: str | None, begin: str | None, end: str | None, repair: bool, as_json: bool
) -> int:
    """Compare the jobs' own history with the topic, by job and trans_id; change nothing unless asked to repair.

    \b
    missing       the jobs tell it, and the topic does not have it
    repeated      messages beyond the first of their transition
    out of order  first arrivals that came after one that happened later, of the same job
    strange       messages that no job explains
    set aside     dead letters

    Exits 0 when nothing is missing, else 75.

    \b
    Example:
      job-bridge verify --since 24h --repair
    """
    asked = span(since, begin, end, "24h")
    assert asked[0] is not None
    until = min(asked[1].timestamp(), time.time() - config.verify.settle_seconds)
    findings = _compared(config, Span(asked[0].timestamp(), until), repair, as_json)
    return 0 if findings.complete else Retryable.exit_code


def _compared(config: Config, asked: Span, repair: bool, as_json: bool) -> Findings:
    """Compare, and print what was found; where it is to be repaired, compare again afterwards."""
    from bridge.parts import opened, resending
    from bridge.pipeline.ledger import Ledger
    from bridge.pipeline.verification import Verification, repairs
    from bridge.sink.driver import driver_of

    topic, sent = config.kafka.topic, 0
    with opened(config) as (source, _), driver_of(config).reader(config) as reader:
        looked = _kept(asked, reader.kept_since(topic), topic)
        by_state = source.profile.transitions_field is None

        def compared(ledger: Ledger) -> Findings:
            totals = {"jobs": source.history.count(looked.since), "messages": reader.count(topic, looked.since)}
            with bars(totals) as advance:
                check = Verification(ledger, looked, margin=config.recovery.margin_seconds, by_state=by_state, advance=advance)
                return check.run(source.history.jobs(looked.since), reader, topic, f"{topic}-dlq")

        with Ledger() as ledger:
            findings = compared(ledger)
            if repair and not findings.complete:
                _show(findings, topic, as_json)
                with resending(config, threading.Event()) as resend, bars({"sent": findings.counts["missing"]}) as advance:
                    resend.run(repairs(ledger), lambda more: advance("sent", more))
                sent = findings.counts["missing"]
        if sent:
            with Ledger() as ledger:
                findings = compared(ledger)
    _show(findings, topic, as_json, sent)
    return findings


def _kept(asked: Span, kept_since: float | None, topic: str) -> Span:
    if kept_since is None or kept_since <= asked.since:
        return asked
    click.echo(f"the topic {topic} has removed what is older than {_iso(kept_since)}: compared from then on", err=True)
    return Span(kept_since, max(kept_since, asked.until))


def _show(findings: Findings, topic: str, as_json: bool, sent: int = 0) -> None:
    if as_json:
        click.echo(json.dumps(_document(findings, sent)))
        return
    counts = findings.counts
    if sent:
        click.echo(f"sent {sent} that were missing; compared again:")
    click.echo(f"{_iso(findings.span.since)} to {_iso(findings.span.until)}: {counts['transitions']} transitions of the jobs, "
               f"{counts['messages']} messages of {topic}")
    for kind in _KINDS:
        click.echo(f"  {kind.replace('_', ' '):13} {counts[kind]}")
        for example in findings.examples.get(kind, ()):
            click.echo(f"      {example}")
    if not findings.complete and not sent:
        click.echo("'job-bridge verify --repair' sends what is missing; without it nothing was sent")


def _document(findings: Findings, sent: int) -> dict[str, Any]:
    since, until = findings.span
    return {"since": since, "until": until, "repaired": sent, **findings.counts, "examples": findings.examples}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
