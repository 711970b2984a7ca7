"""``job-bridge topics``: the topics with the right settings."""

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import Misconfigured, NotPermitted, PoisonEvent

_STAYS = "Nothing was sent, and a topic that was there before stays as it is"


@click.group()
def topics() -> None:
    """Make the topics the bridge needs."""


@topics.command()
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="of the topic; the dead-letter topic has 1",
)
@click.option(
    "--replicas",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="copies of each partition; 3 where there are 3 brokers",
)
@with_settings
def create(settings: Settings, partitions: int, replicas: int) -> None:
    """Create the topic and its dead-letter topic, where they are missing.

    \b
    Example:
      job-bridge topics create --kafka-topic job-transitions --partitions 6 --replicas 3
    """
    from bridge.kafka.drivers import driver_of

    names = {settings.kafka.topic: partitions, f"{settings.kafka.topic}-dlq": 1}
    try:
        made = driver_of(settings).topics(settings).create(names, replicas)
    except PoisonEvent as error:  # what refuses a message refuses a topic, too: the broker's policy
        raise Misconfigured(
            f"The broker makes no such topic: {error.what.partition(': ')[2]}",
            _STAYS,
            "Ask for other --partitions or --replicas",
        ) from None
    except NotPermitted as error:
        raise NotPermitted(
            error.what,
            _STAYS,
            "Check kafka.sasl_*, and grant Create on the cluster or on both topics",
        ) from None
    for name, count in names.items():
        click.echo(
            f"{name}: created with {count} partition(s)"
            if name in made
            else f"{name}: is there already"
        )
