"""The proposal of a profile, for the layouts of several services."""

from __future__ import annotations

import pytest

from bridge.model.detection.proposal import Proposal, propose
from bridge.model.detection.values import Indexes
from tests.support import job_layouts
from tests.support.job_layouts import Documents


def reasons(proposal: Proposal) -> dict[str, str]:
    return {undecided.setting: undecided.reason for undecided in proposal.undecided}


def test_the_job_service_is_recognised() -> None:
    proposal = propose(job_layouts.cts())

    assert proposal.undecided == []
    assert proposal.jobs["profile"] == "cts"
    assert proposal.jobs["archive_field"] == "trans_history"


def test_recovered_jobs_are_recognised() -> None:
    proposal = propose(job_layouts.cts(recovered=True))

    archives = [c.field for c in proposal.candidates if c.setting == "archive_field"]

    assert proposal.jobs["profile"] == "cts"
    assert archives == ["trans_history"]


def test_the_execution_engine_is_recognised() -> None:
    proposal = propose(job_layouts.ee2())

    assert proposal.undecided == []
    assert proposal.jobs["profile"] == "ee2"
    assert any("Jobs without a history" in note for note in proposal.notes)


def test_names_of_its_own_are_found() -> None:
    proposal = propose(job_layouts.home_made(), {"transition_time": "at"})

    assert reasons(proposal) == {}
    assert proposal.jobs == {
        "profile": "custom",
        "id_field": "jobId",
        "state_field": "currentStage",
        "transitions_field": "stageLog",
        "archive_field": "earlierRuns",
        "updated_field": "lastModified",
        "transition_state": "to",
        "transition_time": "at",
        "transition_trans_id": "eventId",
    }


def test_the_usual_name_wins_among_dates() -> None:
    proposal = propose(job_layouts.home_made())

    assert proposal.jobs["transition_time"] == "at"


@pytest.mark.parametrize(
    ("documents", "state", "job_id", "updated"),
    [
        (job_layouts.celery(), "status", "_id", ""),
        (job_layouts.airflow(), "state", "_id", "updated_at"),
    ],
    ids=["celery", "airflow"],
)
def test_without_history_a_person_decides(
    documents: Documents, state: str, job_id: str, updated: str
) -> None:
    proposal = propose(documents)

    assert reasons(proposal) == {"transitions_field": "the sample contains no array of transitions"}
    assert "an empty value" in proposal.undecided[0].todo

    decided = propose(documents, {"transitions_field": ""})

    assert decided.undecided == []
    assert decided.jobs == {
        "profile": "custom",
        "id_field": job_id,
        "state_field": state,
        "transitions_field": "",
        "archive_field": "",
        "updated_field": updated,
    }


@pytest.mark.parametrize(
    ("documents", "setting", "reason"),
    [
        (job_layouts.argo(), "state_field", "status.phase: it is inside another field"),
        (job_layouts.nested(), "state_field", "meta.status: it is inside another field"),
        (job_layouts.temporal(), "transitions_field", "events: no field of its last entry"),
        (job_layouts.epochs(), "transitions_field", "the time ts of an entry is double, not date"),
        (job_layouts.text_times(), "transitions_field", "time of an entry is string, not date"),
        (job_layouts.history_as_map(), "transitions_field", "timestamps: it is an object"),
        (job_layouts.history_as_arrays(), "transitions_field", "history: its entries are arrays"),
        (job_layouts.states_only(), "transitions_field", "steps: its entries are states without"),
        (job_layouts.newest_first(), "transitions_field", "its newest entry comes first"),
    ],
    ids=["argo", "nested", "temporal", "epochs", "texts", "map", "arrays", "states", "newest"],
)
def test_unreadable_layouts_are_explained(documents: Documents, setting: str, reason: str) -> None:
    proposal = propose(documents)

    assert reason in reasons(proposal)[setting]


def test_unreadable_update_times_are_not_proposed() -> None:
    for documents, problem in (
        (job_layouts.epochs(), "its numbers are milliseconds, not seconds"),
        (job_layouts.text_times(), "it is string, not date or seconds"),
    ):
        proposal = propose(documents)
        problems = [c.problem for c in proposal.candidates if c.setting == "updated_field"]

        assert problems == [problem]
        assert proposal.jobs["updated_field"] == ""


def test_equal_evidence_is_left_to_a_person() -> None:
    documents = [{**job, "phase": job["state"]} for job in job_layouts.cts()]

    proposal = propose(documents)

    assert reasons(proposal) == {
        "state_field": "the evidence for state and phase is equal",
        "transitions_field": "it depends on jobs.state_field",
    }
    assert proposal.undecided[0].todo == "set it to state or phase"
    assert propose(documents, {"state_field": "state"}).jobs["profile"] == "cts"


def test_a_given_setting_overrides_the_proposal() -> None:
    given = {"id_field": "_id", "updated_field": "", "archive_field": "old"}

    proposal = propose(job_layouts.cts(), given)

    assert proposal.jobs["profile"] == "custom"
    assert {name: proposal.jobs[name] for name in given} == given


def test_a_given_custom_profile_stays_custom() -> None:
    proposal = propose(job_layouts.cts(), {"profile": "custom"})

    assert proposal.undecided == []
    assert proposal.settings["profile"] == "custom"
    assert proposal.settings["updated_field"] == "_update_time"


def test_a_unique_index_is_evidence() -> None:
    documents = [{"_id": job["_id"], "reference": job["id"], **job} for job in job_layouts.nested()]
    for document in documents:
        del document["id"]

    assert propose(documents).jobs["id_field"] == "_id"
    indexed = propose(documents, indexes=Indexes(unique=frozenset({"reference"})))
    assert indexed.jobs["id_field"] == "reference"


def test_other_ids_are_mentioned() -> None:
    proposal = propose(job_layouts.temporal())

    assert proposal.jobs["id_field"] == "_id"
    assert (
        "The job id is _id. If consumers know the jobs by workflowId or runId"
        in (proposal.notes[0])
    )


def test_a_chosen_history_needs_its_state() -> None:
    """The events of Temporal have a date; a person says that their type is the state."""
    given = {"transitions_field": "events"}

    undecided = propose(job_layouts.temporal(), given).undecided
    decided = propose(job_layouts.temporal(), {**given, "transition_state": "eventType"})

    assert [entry.setting for entry in undecided] == ["transition_state"]
    assert "eventType: equals the job's state in the last entry of 0%" in undecided[0].reason
    assert decided.undecided == []
    assert decided.jobs["transition_time"] == "eventTime"


def test_an_empty_collection_decides_nothing() -> None:
    proposal = propose([])

    assert set(reasons(proposal).values()) == {
        "the collection contains no documents",
        "it depends on jobs.state_field",
    }
    given = {"id_field": "id", "state_field": "state", "transitions_field": ""}
    assert propose([], given).undecided == []


def test_a_short_sample_is_mentioned() -> None:
    proposal = propose(job_layouts.cts()[:2])

    assert proposal.notes[0] == "Only 2 jobs were sampled, which is little evidence."


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, None, "running", None], "many jobs lack it"),
        ([1, "running", 2, 3], "it is int in some jobs, not string"),
        ([1, 2, 3, 4], "it is int, not string"),
    ],
)
def test_unusable_states_say_why(values: list[object], reason: str) -> None:
    documents = [{"_id": str(number), "status": value} for number, value in enumerate(values)]

    (candidate,) = (c for c in propose(documents).candidates if c.setting == "state_field")

    assert candidate.problem == reason


def test_fields_of_a_transition_are_inside_it() -> None:
    documents = [{"_id": "1", "status": "running", "log": [{"x": 1}]}]
    undecided = propose(documents, {"transitions_field": "log"}).undecided
    todos = {item.setting: item.todo for item in undecided}

    for setting in ("transition_state", "transition_time"):
        assert todos[setting] == "set it to the name of a field of an entry of the history"
