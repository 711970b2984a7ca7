"""Rules on the fields of the jobs, for the commands that use them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the settings apply these rules
    from bridge.settings.load import Settings


def job_problems(settings: "Settings", used: Sequence[str]) -> Iterator[str]:
    """Yield the problems of the fields of the jobs.

    Args:
        settings: The settings, of which each section is valid.
        used: The names of the settings that the command uses, or their beginnings. Without the
            fields of the jobs nothing is a problem, and without kafka.topic no topic is.
    """
    if not _is_used("jobs.state_field", used):
        return
    jobs, topic = settings.jobs, settings.kafka.topic
    if jobs.profile == "custom" and not (jobs.id_field and jobs.state_field):
        yield "jobs.profile = custom needs jobs.id_field and jobs.state_field"
    # The CDM Task Service accepts no other names for its topics.
    if jobs.profile == "cts" and set(topic) & {".", "_"} and _is_used("kafka.topic", used):
        yield (
            f"kafka.topic = {topic} contains . or _: with jobs.profile = cts only letters, digits "
            "and - are accepted, as in the CDM Task Service"
        )
    if missing := _missing_for_the_mode(settings):
        yield f"delivery.mode = {settings.delivery.mode} needs {missing}"


def _is_used(name: str, used: Sequence[str]) -> bool:
    return name.startswith(tuple(used))


def _missing_for_the_mode(settings: "Settings") -> str:
    mode, jobs = settings.delivery.mode, settings.jobs
    is_custom = jobs.profile == "custom"
    if mode == "background-jobs" and is_custom and not jobs.updated_field:
        return "jobs.updated_field, to know the age of a tag"
    if mode == "background-transitions" and (
        jobs.profile == "ee2" or (is_custom and not jobs.transitions_field)
    ):
        return "jobs with a history: jobs.transitions_field"
    return ""
