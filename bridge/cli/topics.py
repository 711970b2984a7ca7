"""``job-bridge topics``: creates the topics."""

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import Misconfigured, NotPermitted, PoisonEvent

_UNCHANGED = "Nothing was sent, and existing topics are unchanged"


@click.group()
def topics() -> None:
    """Create the topics that the bridge needs."""


@topics.command()
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Partitions of the topic. The dead-letter topic has 1.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Replicas of each partition. Use 3 with 3 or more brokers.",
)
@with_settings
def create(settings: Settings, partitions: int, replicas: int) -> None:
    """Create the topic and its dead-letter topic, if they do not exist.

    \b
    Example:
      job-bridge topics create --kafka-topic job-transitions --partitions 6 --replicas 3
    """
    from bridge.kafka.drivers import driver_of

    names = {settings.kafka.topic: partitions, f"{settings.kafka.topic}-dlq": 1}
    try:
        created = driver_of(settings).topics(settings).create(names, replicas)
    except PoisonEvent as error:  # The broker's policy, which may refuse messages and topics.
        raise Misconfigured(
            f"The broker refuses to create the topics: {error.what.partition(': ')[2]}",
            _UNCHANGED,
            "Choose other values for --partitions and --replicas",
        ) from None
    except NotPermitted as error:
        raise NotPermitted(
            error.what,
            _UNCHANGED,
            "Check kafka.sasl_*, and grant Create on the cluster or on both topics",
        ) from None
    for name, count in names.items():
        click.echo(
            f"{name}: created with {count} partition(s)"
            if name in created
            else f"{name}: already exists"
        )
