"""``job-bridge notify``: sends one state change, and waits until Kafka has it."""

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import Retryable, Usage, one_line
from bridge.model.profile import namespace_of
from bridge.model.transition import Poison, Transition


@click.command()
@click.argument("job_id")
@click.option(
    "--state", help="the last time the job came to this state; default: its latest transition"
)
@with_settings
def notify(settings: Settings, job_id: str, state: str | None) -> None:
    """Send a job's latest transition again, or that to a state, and wait for the acknowledgement.

    Its identity is that of the job's history, its ce_origin is notify. Exits 75 when Kafka cannot be
    reached, or does not acknowledge it, within delivery.send_timeout_seconds.

    \b
    Example:
      job-bridge notify 6e7f6e1c-8f0e-4e4e-9d39-0b7e0a6b1c11 --state complete
    """
    transition = _wanted(settings, job_id, state)
    _send(settings, transition)
    click.echo(
        one_line(
            f"sent to {settings.kafka.topic}: job {transition.job_id}, state {transition.state}, trans_id {transition.trans_id}"
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
    except Retryable as error:  # Kafka was not reached: it does not know which message it is about
        raise send_failed(transition, error.what, error.data, error.todo) from error


def _wanted(settings: Settings, job_id: str, state: str | None) -> Transition:
    from bridge.app.wiring import open_source_and_store

    with open_source_and_store(settings) as (source, _):
        job = next(source.history.by_ids([job_id]), None)
    if job is None:
        raise Usage(f"there is no job {job_id} in {namespace_of(settings)}", "Nothing was sent")
    to, told = (
        "" if state is None else f" to {state}",
        ", ".join(item.state for item in job.items) or "none",
    )
    found = [item for item in job.items if state in (None, item.state)]
    if not found:
        raise Usage(
            f"job {job_id} has no transition{to}", "Nothing was sent", f"Its states: {told}"
        )
    latest = found[-1]
    if isinstance(latest, Poison):  # an older one would pass for the latest
        raise Usage(
            f"the latest transition{to} of job {job_id} cannot be sent: {latest.reason}",
            "Nothing was sent",
            f"Correct it in the job, or name another state with --state; its states: {told}",
        )
    return latest
