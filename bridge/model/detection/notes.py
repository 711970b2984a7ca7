"""Notes on a proposal: what the profile means for the delivery."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bridge.model.detection.values import Field
from bridge.settings.names import option

if TYPE_CHECKING:  # a proposal contains its notes
    from bridge.model.detection.proposal import Proposal

#: Fewer documents prove little.
_FEW = 10
#: Names of candidates in a sentence.
_MAX_NAMES = 3


def notes_on(
    proposal: "Proposal", fields: Mapping[str, Field], given: Mapping[str, str], count: int
) -> Iterator[str]:
    """Yield sentences.

    Args:
        proposal: the settings, with a value for each that is decided.
        fields: the fields of the sample.
        given: the settings that a person decided.
        count: the number of documents in the sample.
    """
    jobs = proposal.jobs
    if 0 < count < _FEW:
        yield f"Only {count} jobs were sampled, which is little evidence."
    for setting in ("id_field", "state_field", "updated_field"):
        field = fields.get(jobs.get(setting, ""))
        if field and field.seen < count:
            yield _missing(setting, field)
    others = [name for name in _names(proposal, "id_field") if name != "_id"]
    if jobs.get("id_field") == "_id" and others:
        yield (
            f"The job id is _id. If consumers know the jobs by {' or '.join(others)}, set "
            "jobs.id_field to it."
        )
    if jobs.get("transitions_field") == "":
        yield (
            "Jobs without a history: each change of the state is a transition, and after an "
            "outage longer than the oplog only the latest state of each job is published."
        )
    if count:
        yield from _not_recognised(proposal, given)


def _not_recognised(proposal: "Proposal", given: Mapping[str, str]) -> Iterator[str]:
    """Yield what the bridge does without a field that the sample may contain all the same."""
    jobs = proposal.jobs
    known = {*jobs, *(entry.setting for entry in proposal.undecided)}
    if jobs.get("transitions_field") and "transition_trans_id" not in known:
        yield (
            "No field was recognised as the identity of a transition: the bridge makes it from the "
            f"job, the time, the sequence and the state. {_advice(proposal, 'transition_trans_id')}"
        )
    if jobs.get("updated_field") != "":
        return
    consequence = (
        "a recovery reads every job."
        if jobs.get("transitions_field")
        else "the commit gives the time of a transition, but a recovery does not know it, and "
        "writes a dead letter for each job."
    )
    if "updated_field" in given:
        yield f"jobs.updated_field is empty: {consequence}"
    else:
        yield (
            f"No field was recognised as the time of a job's last update: {consequence} "
            f"{_advice(proposal, 'updated_field')}"
        )


def _advice(proposal: "Proposal", setting: str) -> str:
    names = " or ".join(_names(proposal, setting)[:_MAX_NAMES])
    return f"If {names or 'a field'} is it, set jobs.{setting} ({option(f'jobs.{setting}')})."


def _names(proposal: "Proposal", setting: str) -> list[str]:
    """Return the fields that a setting can have."""
    return [
        candidate.name
        for candidate in proposal.candidates
        if candidate.setting == setting and not candidate.problem
    ]


def _missing(setting: str, field: Field) -> str:
    missing = field.of - field.seen
    consequence = {
        "id_field": "their transitions are dead-lettered",
        "state_field": "they have no state yet, or another layout",
        "updated_field": "a recovery reads them first, whatever their age",
    }[setting]
    return f"{missing} of {field.of} jobs have no {field.name}: {consequence}."
