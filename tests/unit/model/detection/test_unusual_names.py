"""Identities and update times with names that the proposal does not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.model.detection.candidates import Candidate
from bridge.model.detection.proposal import Proposal, propose
from tests.support import job_layouts
from tests.support.job_layouts import Documents

LATER = timedelta(seconds=30)


def renamed(*, entry: str = "uid", updated: str = "lastChanged") -> Documents:
    """Jobs of the CDM Task Service whose identities and update times have other names."""
    return [_renamed(job, entry, updated) for job in job_layouts.cts()]


def _renamed(job: dict[str, Any], entry: str, updated: str) -> dict[str, Any]:
    log = [
        {"state": old["state"], "time": old["time"], entry: old["trans_id"]}
        for old in job["transition_times"]
    ]
    changed = job["_update_time"] + LATER
    return {"_id": job["_id"], "state": job["state"], "log": log, updated: changed}


def shown(proposal: Proposal, setting: str) -> list[Candidate]:
    return [candidate for candidate in proposal.candidates if candidate.setting == setting]


def notes(proposal: Proposal, words: str) -> list[str]:
    return [note for note in proposal.notes if words in note]


def test_texts_that_differ_are_shown() -> None:
    proposal = propose(renamed())

    (candidate,) = shown(proposal, "transition_trans_id")
    (note,) = notes(proposal, "identity of a transition")
    assert candidate.field == "log[].uid" and not proposal.proposes(candidate)
    assert "transition_trans_id" not in proposal.jobs
    assert note.startswith("No field was recognised")
    assert note.endswith("If uid is it, set jobs.transition_trans_id (--jobs-transition-trans-id).")


@pytest.mark.parametrize("name", ["lastChanged", "touched_at"])
def test_dates_after_the_last_transition_are_shown(name: str) -> None:
    proposal = propose([{**job, "born": job_layouts.START} for job in renamed(updated=name)])

    (candidate,) = shown(proposal, "updated_field")
    (note,) = notes(proposal, "last update")
    assert candidate.field == name and not proposal.proposes(candidate)
    assert candidate.evidence == "a date, not older than the last transition"
    assert proposal.jobs["updated_field"] == ""
    assert note.startswith("No field was recognised") and "a recovery reads every job" in note
    assert note.endswith(f"If {name} is it, set jobs.updated_field (--jobs-updated-field).")


def test_a_chosen_field_ends_the_note() -> None:
    given = {"transition_trans_id": "uid", "updated_field": "lastChanged"}

    proposal = propose(renamed(), given)

    assert proposal.notes == []
    assert all(proposal.proposes(shown(proposal, setting)[0]) for setting in given)


def test_an_empty_setting_is_no_discovery() -> None:
    proposal = propose(renamed(), {"updated_field": ""})

    assert notes(proposal, "jobs.updated_field") == [
        "jobs.updated_field is empty: a recovery reads every job."
    ]


def test_without_history_every_date_is_shown() -> None:
    documents = [{"_id": str(n), "state": "run", "seen": job_layouts.START} for n in range(12)]

    proposal = propose(documents, {"transitions_field": ""})

    (candidate,) = shown(proposal, "updated_field")
    assert (candidate.field, candidate.evidence) == ("seen", "a date")
    assert notes(proposal, "If seen is it")


def test_states_are_no_identities() -> None:
    """In a sample of one job each state is different, too."""
    proposal = propose(job_layouts.cts()[3:4])

    assert [c.name for c in shown(proposal, "transition_trans_id")] == ["trans_id"]
