"""``job-bridge notify``: sends one state change, and waits until Kafka has it."""

import click

from bridge.cli.settings import Config, with_settings
from bridge.errors import Usage
from bridge.model.profile import namespace_of
from bridge.model.transition import Transition


@click.command()
@click.argument("job_id")
@click.option("--state", help="the last time the job came to this state; default: its latest transition")
@with_settings
def notify(config: Config, job_id: str, state: str | None) -> None:
    """Send a job's latest transition again, or that to a state, and wait for the acknowledgement.

    Its identity is that of the job's history, its ce_origin is notify. Exits 75 when Kafka does not
    acknowledge it within delivery.send_timeout_seconds.

    \b
    Example:
      job-bridge notify 6e7f6e1c-8f0e-4e4e-9d39-0b7e0a6b1c11 --state complete
    """
    from bridge.notifier import Notifier

    transition = _wanted(config, job_id, state)
    with Notifier(
        **config.kafka.model_dump(), timeout_seconds=config.delivery.send_timeout_seconds,
        source=f"job-bridge/{namespace_of(config)}",
    ) as notifier:
        notifier.send(transition)
    click.echo(f"sent to {config.kafka.topic}: job {transition.job_id}, state {transition.state}, trans_id {transition.trans_id}")


def _wanted(config: Config, job_id: str, state: str | None) -> Transition:
    from bridge.parts import opened

    with opened(config) as (source, _):
        job = next(source.history.some([job_id]), None)
    if job is None:
        raise Usage(f"there is no job {job_id} in {namespace_of(config)}", "Nothing was sent")
    found = [item for item in job.items if isinstance(item, Transition) and state in (None, item.state)]
    if not found:
        told = ", ".join(item.state for item in job.items) or "none"
        raise Usage(f"job {job_id} has no transition{f' to {state}' if state else ''} that can be sent", "Nothing was sent", f"Its states: {told}")
    return found[-1]


