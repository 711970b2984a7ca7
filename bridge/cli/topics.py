"""``job-bridge topics``: creates the topics."""

from typing import TYPE_CHECKING

import click

from bridge.cli.settings import KAFKA, MODE, Settings, with_settings_of
from bridge.errors import Misconfigured, NotPermitted, PoisonEvent

if TYPE_CHECKING:  # imported late: a Kafka client would slow down the help
    from bridge.kafka.topics import TopicPlan

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
    help="Partitions of the topic. The dead-letter topic and the state topic have 1.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Replicas of each partition. Use 3 with 3 or more brokers.",
)
@with_settings_of(*KAFKA, *MODE, "checkpoint.store")
def create(settings: Settings, partitions: int, replicas: int) -> None:
    """Create the topic and its dead-letter topic, if they do not exist.

    With checkpoint.store = kafka also the compacted topic <kafka.topic>-bridge-state, which keeps
    the position.

    \b
    Example:
      job-bridge topics create --kafka-topic job-transitions --partitions 6 --replicas 3
    """
    from bridge.kafka.drivers import driver_of
    from bridge.kafka.topics import TopicPlan, state_topic_plan, uses_state_topic

    topic = settings.kafka.topic
    plans = [TopicPlan(topic, partitions), TopicPlan(f"{topic}-dlq", 1)]
    if uses_state_topic(settings):
        plans.append(state_topic_plan(topic, replicas))
    try:
        created = driver_of(settings).topics(settings).create(plans, replicas)
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
            "Check kafka.sasl_*, and grant Create on the cluster or on these topics",
        ) from None
    for plan in plans:
        click.echo(
            f"{plan.name}: created with {_described(plan)}"
            if plan.name in created
            else f"{plan.name}: already exists"
        )


def _described(plan: "TopicPlan") -> str:
    policy = plan.configs.get("cleanup.policy")
    return f"{plan.partitions} partition(s)" + (f", cleanup.policy {policy}" if policy else "")
