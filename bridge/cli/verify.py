"""``job-bridge verify``: compares the jobs with the topic."""

import threading
import time
from dataclasses import replace
from typing import Any

import click

from bridge.cli.findings import print_findings, show
from bridge.cli.output import json_option
from bridge.cli.progress import bars
from bridge.cli.settings import JOBS, KAFKA, Settings, with_settings_of
from bridge.cli.times import span
from bridge.clock import iso
from bridge.errors import Misconfigured, NotFound, Retryable, Usage
from bridge.hints import Hint
from bridge.model import objective
from bridge.verification.comparison import Findings
from bridge.verification.rows import Span


@click.command()
@click.option(
    "--since",
    metavar="WHEN",
    help="Start of the time span: 24h, 7d, or an ISO 8601 time with a zone. Default: 24h.",
)
@click.option(
    "--from", "begin", metavar="WHEN", help="The same as --since; reads better with --to."
)
@click.option(
    "--to",
    "end",
    metavar="WHEN",
    help="End of the time span. Default: now. The last verify.settle_seconds are left out.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Send missing transitions, in order and with ce_origin replay, then compare again.",
)
@json_option(
    "Print the findings as a JSON document; its keys: missing, repeated, out_of_order, "
    "strange, wrong, set_aside, shared_ids, late; examples contains up to 1000 of each."
)
@with_settings_of(*JOBS, *KAFKA, "kafka.headers")
def verify(
    settings: Settings,
    since: str | None,
    begin: str | None,
    end: str | None,
    repair: bool,
    as_json: bool,
) -> int:
    """Compare the jobs' history with the topic.

    Compares by trans_id, job, state, time and key. Changes nothing without --repair. The keys of
    --json are in brackets where they are other words.

    \b
    missing       transitions of the jobs that are not in the topic
    duplicates    messages after the first of the same transition (repeated)
    out of order  first messages that arrived after one of a later transition of the job
    unexpected    messages whose trans_id is not in the jobs (strange)
    wrong         messages whose trans_id is in a job with another job id, state or time, or whose
                  key is not their job id; such a transition is also missing, unless it was sent
                  right too
    dead letters  transitions that were dead-lettered and not sent since (set_aside)
    late          transitions that were not in the topic within a second after their commit
                  (ce_committed), or after their own time if their message does not contain it;
                  counted if the broker stamps the messages (message.timestamp.type) and the jobs
                  have a history

    --repair cannot remove unexpected and wrong messages. In a compacted topic, only the latest
    message of each job is compared with the job's latest transition, and --repair is refused.
    Exits 0 if no transition is missing and
    no message is unexpected or wrong, else 75; 66 if there is nothing to compare.

    \b
    Example:
      job-bridge verify --since 24h --repair
    """
    first, last = span(since, begin, end, "24h")
    assert first is not None  # noqa: S101 - for mypy: --since has a default
    settle = settings.verify.settle_seconds
    requested = Span(first.timestamp(), min(last.timestamp(), time.time() - settle))
    if requested.until < requested.since:
        raise Usage(
            f"nothing is left to compare after {iso(requested.since)}: the last {settle:g} "
            "seconds are left out (verify.settle_seconds), because they may still be in flight",
            "Nothing was compared",
            "Give an earlier time",
        )
    findings = _verify(settings, requested, repair, as_json)
    if findings.empty:
        raise _nothing_to_compare(settings, findings.span)
    return 0 if findings.clean else Retryable.exit_code


def _verify(settings: Settings, requested: Span, repair: bool, as_json: bool) -> Findings:
    """Compare and print the findings; with ``repair``, send and compare again.

    JSON contains the last findings only.
    """
    from bridge.app.wiring import open_source_and_store
    from bridge.kafka.drivers import driver_of
    from bridge.verification.database import TransitionDatabase

    topic, sent = settings.kafka.topic, None
    described = driver_of(settings).topics(settings).describe(topic).get(topic)
    if described is not None and described.compacted:
        _report_compaction(topic, repair)
    retention_start = _retention_start(described)
    with (
        open_source_and_store(settings) as (source, _),
        driver_of(settings).reader(settings) as reader,
    ):
        retained = _retained(requested, reader.kept_since(topic, retention_start), topic)
        compared = None
        # Compare again if the topic's retention removed messages meanwhile.
        while retained != compared:
            with TransitionDatabase() as database:
                findings = _compare(settings, source, reader, retained, database, described)
                compared = retained
                if not findings.complete:
                    retained = _retained(retained, reader.kept_since(topic, retention_start), topic)
                if repair and not findings.complete and retained == compared:
                    if not as_json:
                        print_findings(findings, topic)
                    sent = _repair(settings, database, findings.counts["missing"])
        if sent is not None:
            with TransitionDatabase() as database:
                findings = _compare(settings, source, reader, retained, database, described)
    show(findings, topic, as_json, sent)
    return findings


def _retention_start(topic: Any) -> float | None:
    """Return since when the retention keeps messages; None without one."""
    if topic is None or topic.retention_ms is None or topic.retention_ms < 0:
        return None
    return time.time() - float(topic.retention_ms) / 1000


def _report_compaction(topic: str, repair: bool) -> None:
    """Say what the comparison of a compacted topic covers; refuse to repair it."""
    if repair:
        raise Misconfigured(
            f"the topic {topic} is compacted (cleanup.policy): Kafka keeps only the latest message "
            "of each job, and a repair would send old states after newer ones, which compaction "
            "would then remove",
            "Nothing was compared or sent",
            f"Run '{Hint.VERIFY}' without --repair, and '{Hint.REPLAY_JOB}' for a job "
            "whose latest state is missing: it sends the whole history, the latest state last",
        )
    click.echo(
        f"the topic {topic} is compacted: Kafka keeps only the latest message of each job, so only "
        "that is compared, with the job's latest transition",
        err=True,
    )


def _compare(
    settings: Settings,
    source: Any,
    reader: Any,
    retained: Span,
    database: Any,
    described: Any,
) -> Findings:
    from bridge.verification.comparison import Verification

    topic, margin = settings.kafka.topic, settings.recovery.margin_seconds
    by_state = source.profile.transitions_field is None
    compacted = described is not None and described.compacted
    totals = {
        "jobs": source.history.count(retained.since),
        "messages": reader.count(topic, retained.since - margin),
    }
    with bars(totals) as advance:
        verification = Verification(
            database,
            retained,
            margin=margin,
            by_state=by_state,
            compacted=compacted,
            advance=advance,
        )
        findings = verification.run(source.history, reader, topic, f"{topic}-dlq")
    if compacted or by_state or described is None or not described.has_append_times:
        return findings
    return replace(findings, late=database.late(objective.SECONDS))


def _repair(settings: Settings, database: Any, missing: int) -> int:
    """Send the missing transitions; return how many were sent, without dead letters."""
    from bridge.app.wiring import open_republisher
    from bridge.verification.comparison import repairs

    with (
        open_republisher(settings, threading.Event()) as republisher,
        bars({"sent": missing}) as advance,
    ):
        republisher.run(repairs(database), lambda more: advance("sent", more))
        return republisher.sent


def _retained(requested: Span, kept_since: float | None, topic: str) -> Span:
    """Return the part of a time span that the topic still contains."""
    if kept_since is None or kept_since <= requested.since:
        return requested
    if kept_since >= requested.until:
        raise Usage(
            f"the topic {topic} has removed all messages up to {iso(requested.until)}: "
            f"its oldest are from {iso(kept_since)}",
            "Nothing was compared",
            "Give a later time; 'job-bridge replay' sends older transitions again",
        )
    click.echo(
        f"the topic {topic} has removed messages older than {iso(kept_since)}: "
        "earlier transitions are not compared",
        err=True,
    )
    return Span(kept_since, requested.until)


def _nothing_to_compare(settings: Settings, compared: Span) -> NotFound:
    from bridge.model.profile import namespace_of

    return NotFound(
        f"nothing to compare from {iso(compared.since)} to {iso(compared.until)}: no job in "
        f"{namespace_of(settings)} has a transition, and the topic {settings.kafka.topic} has no "
        "message of that time",
        "Nothing was sent",
        "If there should be some, check mongo.database, mongo.collection, jobs.profile and "
        "kafka.topic, or give an earlier time",
    )
