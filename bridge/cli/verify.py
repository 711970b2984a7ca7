"""``job-bridge verify``: whether Kafka has every transition."""

import json
import threading
import time
from datetime import datetime, timezone
from typing import Any

import click

from bridge.cli.progress import bars
from bridge.cli.settings import Settings, with_settings
from bridge.cli.times import span
from bridge.errors import Retryable, Usage, one_line
from bridge.verification.comparison import Findings, Span

_KINDS = ("missing", "repeated", "out_of_order", "strange", "set_aside")


@click.command()
@click.option(
    "--since",
    metavar="WHEN",
    help="from when on: 24h, 7d, or an ISO 8601 time with its zone; default: 24h",
)
@click.option("--from", "begin", metavar="WHEN", help="the same, for use with --to")
@click.option(
    "--to",
    "end",
    metavar="WHEN",
    help="up to when; default: now. The last verify.settle_seconds are left out",
)
@click.option(
    "--repair",
    is_flag=True,
    help="send what is missing, in order, with ce_origin replay, and compare again",
)
@click.option("--json", "as_json", is_flag=True, help="the findings as one JSON document")
@with_settings
def verify(
    settings: Settings,
    since: str | None,
    begin: str | None,
    end: str | None,
    repair: bool,
    as_json: bool,
) -> int:
    """Compare the jobs' own history with the topic, by job and trans_id; change nothing unless asked to repair.

    \b
    missing       the jobs tell it, and the topic does not have it
    repeated      messages beyond the first of their transition
    out of order  first arrivals that came after one that happened later, of the same job
    strange       messages that no job explains
    set aside     dead letters that were not sent since

    Exits 0 when nothing is missing, else 75.

    \b
    Example:
      job-bridge verify --since 24h --repair
    """
    first, last = span(since, begin, end, "24h")
    assert first is not None
    asked = Span(
        first.timestamp(), min(last.timestamp(), time.time() - settings.verify.settle_seconds)
    )
    if asked.until < asked.since:
        raise Usage(
            f"nothing is left to compare from {_iso(asked.since)} on: the last {settings.verify.settle_seconds:g} seconds are left out "
            "(verify.settle_seconds), they may still be on their way",
            "Nothing was compared",
            "Ask for an earlier time",
        )
    return 0 if _verified(settings, asked, repair, as_json).complete else Retryable.exit_code


def _verified(settings: Settings, asked: Span, repair: bool, as_json: bool) -> Findings:
    """Compare, and print what was found; where it is to be repaired, send and compare again. A program hears the last word only."""
    from bridge.app.wiring import open_source_and_store
    from bridge.kafka.drivers import driver_of
    from bridge.verification.database import TransitionDatabase

    topic, sent = settings.kafka.topic, None
    with (
        open_source_and_store(settings) as (source, _),
        driver_of(settings).reader(settings) as reader,
    ):
        looked, before = _kept(asked, reader.kept_since(topic), topic), None
        while looked != before:  # again, where the topic removed meanwhile what is called missing
            with TransitionDatabase() as ledger:
                findings, before = _compared(settings, source, reader, looked, ledger), looked
                looked = (
                    looked if findings.complete else _kept(looked, reader.kept_since(topic), topic)
                )
                if repair and not findings.complete and looked == before:
                    if not as_json:
                        _tell(findings, topic)
                    sent = _repaired(settings, ledger, findings.counts["missing"])
        if sent is not None:
            with TransitionDatabase() as ledger:
                findings = _compared(settings, source, reader, looked, ledger)
    _show(findings, topic, as_json, sent)
    return findings


def _compared(settings: Settings, source: Any, reader: Any, looked: Span, ledger: Any) -> Findings:
    from bridge.verification.comparison import Verification

    topic, margin, by_state = (
        settings.kafka.topic,
        settings.recovery.margin_seconds,
        source.profile.transitions_field is None,
    )
    totals = {
        "jobs": source.history.count(looked.since),
        "messages": reader.count(topic, looked.since - margin),
    }
    with bars(totals) as advance:
        check = Verification(ledger, looked, margin=margin, by_state=by_state, advance=advance)
        return check.run(source.history.jobs(looked.since), reader, topic, f"{topic}-dlq")


def _repaired(settings: Settings, ledger: Any, missing: int) -> int:
    """Send what is missing; how many were sent, without those that were set aside."""
    from bridge.app.wiring import open_republisher
    from bridge.verification.comparison import repairs

    with (
        open_republisher(settings, threading.Event()) as resend,
        bars({"sent": missing}) as advance,
    ):
        resend.run(repairs(ledger), lambda more: advance("sent", more))
        return missing - resend.dead_lettered


def _kept(asked: Span, kept_since: float | None, topic: str) -> Span:
    if kept_since is None or kept_since <= asked.since:
        return asked
    if kept_since >= asked.until:
        raise Usage(
            f"the topic {topic} has removed everything up to {_iso(asked.until)}: it has messages from {_iso(kept_since)} on",
            "Nothing was compared",
            "Ask for a time after that; 'job-bridge replay' sends an older one again",
        )
    click.echo(
        f"the topic {topic} has removed what is older than {_iso(kept_since)}: compared from then on",
        err=True,
    )
    return Span(kept_since, asked.until)


def _show(findings: Findings, topic: str, as_json: bool, sent: int | None) -> None:
    if as_json:
        click.echo(json.dumps(_document(findings, sent or 0)))
        return
    if sent is not None:
        click.echo(f"sent {sent} that were missing; compared again:")
    _tell(findings, topic)
    if not findings.complete and sent is None:
        click.echo(
            "'job-bridge verify --repair' sends what is missing; without it nothing was sent"
        )


def _tell(findings: Findings, topic: str) -> None:
    counts = findings.counts
    click.echo(
        f"{_iso(findings.span.since)} to {_iso(findings.span.until)}: {counts['transitions']} transitions of the jobs, "
        f"{counts['messages']} messages of {topic}"
    )
    for kind in _KINDS:
        click.echo(f"  {kind.replace('_', ' '):13} {counts[kind]}")
        for example in findings.examples.get(kind, ()):
            click.echo(f"      {one_line(example)}")


def _document(findings: Findings, sent: int) -> dict[str, Any]:
    since, until = findings.span
    return {
        "since": since,
        "until": until,
        "repaired": sent,
        **findings.counts,
        "examples": findings.examples,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
