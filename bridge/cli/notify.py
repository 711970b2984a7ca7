"""``job-bridge notify``: sends a transition, and waits for its acknowledgement."""

import json

import click

from bridge.cli.output import PRINT_MESSAGES, dry_run_option, json_option
from bridge.cli.settings import JOBS, KAFKA, Settings, with_settings_of
from bridge.errors import NotFound, Retryable, Usage, one_line
from bridge.model.message import value_of
from bridge.model.profile import namespace_of
from bridge.model.transition import Poison, Transition


@click.command()
@click.argument("job_id")
@click.option(
    "--state", help="Send the latest transition to this state, instead of the latest transition."
)
@dry_run_option(PRINT_MESSAGES)
@json_option("Print {topic, sent, message} as JSON.")
@with_settings_of(*JOBS, *KAFKA, "kafka.headers")
def notify(
    settings: Settings, job_id: str, state: str | None, dry_run: bool, as_json: bool
) -> None:
    """Send a job's latest transition, and wait for Kafka.

    The message has the transition's own identity (trans_id), and ce_origin notify. Exits 75 if
    Kafka does not acknowledge it within delivery.send_timeout_seconds, 82 if the topic accepts no
    message of this size.

    \b
    Example:
      job-bridge notify 6e7f6e1c-8f0e-4e4e-9d39-0b7e0a6b1c11 --state complete
    """
    transition = _latest_transition(settings, job_id, state)
    if not dry_run:
        _send(settings, transition)
    if as_json:
        message = json.loads(value_of(transition))
        click.echo(
            json.dumps({"topic": settings.kafka.topic, "sent": not dry_run, "message": message})
        )
        return
    if dry_run:
        click.echo(value_of(transition).decode())
        click.echo("1 message would be sent; nothing was sent", err=True)
        return
    click.echo(
        one_line(
            f"sent to {settings.kafka.topic}: job {transition.job_id}, "
            f"state {transition.state}, trans_id {transition.trans_id}"
        )
    )


def _send(settings: Settings, transition: Transition) -> None:
    from bridge.delivery.synchronous import send_failed
    from bridge.notifier import Notifier

    try:
        with Notifier(
            **settings.kafka.model_dump(),
            timeout_seconds=settings.delivery.send_timeout_seconds,
            source=f"job-bridge/{namespace_of(settings)}",
        ) as notifier:
            notifier.send(transition)
    except Retryable as error:  # Kafka was not reached, so the error does not name the message.
        raise send_failed(transition, error.what, error.data, error.todo) from error


def _latest_transition(settings: Settings, job_id: str, state: str | None) -> Transition:
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, _):
        jobs = list(source.history.by_ids([job_id]))
    if not jobs:
        raise NotFound(f"there is no job {job_id} in {namespace_of(settings)}", "Nothing was sent")
    if len(jobs) > 1:
        raise Usage(
            f"{len(jobs)} jobs in {namespace_of(settings)} have the id {job_id}",
            "Nothing was sent",
            "'job-bridge replay --job ID --state STATE' sends the transitions of all of them",
        )
    job = jobs[0]
    to_state = "" if state is None else f" to {state}"
    states = ", ".join(item.state for item in job.items) or "none"
    transitions = [item for item in job.items if state in (None, item.state)]
    if not transitions:
        raise NotFound(
            f"job {job_id} has no transition{to_state}", "Nothing was sent", f"Its states: {states}"
        )
    latest = transitions[-1]
    if isinstance(latest, Poison):  # An older transition would be mistaken for the latest.
        raise Usage(
            f"the latest transition{to_state} of job {job_id} cannot be sent: {latest.reason}",
            "Nothing was sent",
            f"Correct it in the job, or name another state with --state; its states: {states}",
        )
    return latest
