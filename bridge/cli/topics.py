"""``job-bridge topics``: creates the topics."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.output import dry_run_option, json_option
from bridge.cli.settings import KAFKA, MODE, Settings, with_settings_of
from bridge.errors import NotPermitted

if TYPE_CHECKING:  # imported late: a Kafka client would slow down the help
    from bridge.kafka.topics import Topic, TopicPlan, Topics

#: The largest numbers in Kafka's protocol.
_MAX_PARTITIONS = 2**31 - 1
_MAX_REPLICAS = 2**15 - 1


@click.group()
def topics() -> None:
    """Create the topics that the bridge needs."""


@topics.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, _MAX_PARTITIONS),
    default=3,
    show_default=True,
    help="Partitions of the topic. The dead-letter topic and the state topic have 1.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, _MAX_REPLICAS),
    default=1,
    show_default=True,
    help="Replicas of each partition. Use 3 with 3 or more brokers.",
)
@dry_run_option("Say what would be created; create nothing.")
@json_option("Print a JSON list of {topic, action, partitions, replicas, differences}.")
@with_settings_of(*KAFKA, *MODE, "checkpoint.store")
def create(
    settings: Settings, partitions: int, replicas: int, dry_run: bool, as_json: bool
) -> None:
    """Create the topic and its dead-letter topic, if they do not exist.

    With checkpoint.store = kafka also the compacted topic <kafka.topic>-bridge-state, which keeps
    the position. Existing topics are never changed; a line says how they differ.

    \b
    Example:
      job-bridge topics create --kafka-topic job-transitions --partitions 6 --replicas 3
    """
    from bridge.kafka.drivers import driver_of
    from bridge.kafka.topics import TopicPlan, state_topic_plan

    topic = settings.kafka.topic
    plans = [TopicPlan(topic, partitions), TopicPlan(f"{topic}-dlq", 1)]
    if settings.uses_state_topic:
        plans.append(state_topic_plan(topic, replicas))
    topics = driver_of(settings).topics(settings)
    created = _created(topics, plans, replicas, dry_run)
    existing = topics.describe(*(plan.name for plan in plans if plan.name not in created))
    action = "would create" if dry_run else "created"
    rows = [
        _row(plan, replicas, existing.get(plan.name), action if plan.name in created else "exists")
        for plan in plans
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for plan, row in zip(plans, rows, strict=True):
        click.echo(f"{plan.name}: {_line(plan, row)}")


def _created(
    topics: "Topics", plans: "Sequence[TopicPlan]", replicas: int, dry_run: bool
) -> list[str]:
    """Create the topics; if Kafka refuses one of them, none is created."""
    from bridge.kafka.topics import NONE_CREATED, would_create

    if dry_run:
        return would_create(plans, replicas, topics.overview())
    try:
        created = topics.create(plans, replicas, validate_only=True)
        topics.create(plans, replicas)
        return created
    except NotPermitted as error:
        raise NotPermitted(
            error.what,
            NONE_CREATED,
            "Check kafka.sasl_*, and grant Create on the cluster or on these topics",
        ) from None


def _row(plan: "TopicPlan", replicas: int, topic: "Topic | None", action: str) -> dict[str, object]:
    """Return a topic as ``--json`` prints it, with the partitions and replicas that it has."""
    return {
        "topic": plan.name,
        "action": action,
        "partitions": topic.partitions if topic else plan.partitions,
        "replicas": topic.replicas if topic else replicas,
        "differences": _differences(plan, replicas, topic),
    }


def _differences(plan: "TopicPlan", replicas: int, topic: "Topic | None") -> list[str]:
    """Return how an existing topic differs from the plan; settings that are unknown do not."""
    if topic is None:
        return []
    policy = plan.configs.get("cleanup.policy")
    pairs = [
        ("partition(s)", topic.partitions, plan.partitions),
        ("replica(s)", topic.replicas, replicas),
    ]
    differences = [f"{has} {name}, not {asked}" for name, has, asked in pairs if has != asked]
    if policy and topic.cleanup_policy not in ("", policy):
        differences.append(f"cleanup.policy {topic.cleanup_policy}, not {policy}")
    return differences


def _line(plan: "TopicPlan", row: Mapping[str, Any]) -> str:
    if row["action"] != "exists":
        return f"{row['action']} with {_described(plan)}"
    if not row["differences"]:
        return "already exists"
    return f"already exists with {'; '.join(row['differences'])}; it was not changed"


def _described(plan: "TopicPlan") -> str:
    policy = plan.configs.get("cleanup.policy")
    return f"{plan.partitions} partition(s)" + (f", cleanup.policy {policy}" if policy else "")
