"""``check`` looks at the jobs: a name with a typo, and documents that do not fit the profile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import JobWriter, transition
from tests.support.servers.mongo import Client

CUSTOM = {
    "jobs.profile": "custom",
    "jobs.id_field": "id",
    "jobs.state_field": "state",
    "jobs.transitions_field": "transition_times",
}


def finding(settings: GivenSettings, subject: str) -> tuple[int, str]:
    """The exit code of ``check``, and its first finding about a subject."""
    ended = run_command("check", settings=settings)
    lines = [line for line in ended.out.splitlines() if line.split()[1] == subject]
    return ended.code, lines[0]


def test_a_misspelt_name_gets_similar_names(
    settings: GivenSettings, jobs: JobWriter, database: str, client: Client
) -> None:
    for name, value in (("mongo.database", f"{database}s"), ("mongo.collection", "job")):
        code, line = finding({**settings, name: value}, "collection")

        assert code == 0
        assert line.startswith("warning") and "does not exist yet" in line
        assert f"(similar names: {database}.jobs" in line
        assert "check mongo.database and mongo.collection" in line


@pytest.mark.parametrize(
    ("changed", "given", "words"),
    [
        ({"id": None, "job": "1"}, {}, "the job id id is missing (jobs.id_field)"),
        ({"id": 7}, {}, "the job id id is int, not text (jobs.id_field)"),
        (
            {"transition_times": None, "history": []},
            {},
            "the history transition_times is missing (jobs.transitions_field)",
        ),
        (
            {"transition_times": "created"},
            {},
            "the history transition_times is str, not an array (jobs.transitions_field)",
        ),
        (
            {},
            {**CUSTOM, "jobs.transition_state": "status"},
            "the state status of each transition is missing (jobs.transition_state)",
        ),
        (
            {},
            {**CUSTOM, "jobs.transition_time": "at"},
            "the time at of each transition is missing (jobs.transition_time)",
        ),
        (
            {"state": None},
            {"jobs.profile": "ee2", "mongo.collection": "jobs"},
            "the state status is missing (jobs.state_field)",
        ),
    ],
)
def test_documents_that_do_not_fit_are_a_failure(
    changed: dict[str, Any],
    given: GivenSettings,
    words: str,
    settings: GivenSettings,
    jobs: JobWriter,
) -> None:
    jobs.add(**changed)
    jobs.add(**changed)

    code, line = finding({**settings, **given}, "jobs")

    assert code == 78
    assert line.startswith("failure") and words in line
    assert "do not fit jobs.profile" in line and "No transition of them could be sent" in line


def test_a_single_odd_document_is_no_failure(settings: GivenSettings, jobs: JobWriter) -> None:
    jobs.add(first=transition("created"))
    jobs.add(id=7)

    code, line = finding(settings, "jobs")

    assert code == 0 and line.startswith("ok")


def test_given_fields_that_no_job_contains(settings: GivenSettings, jobs: JobWriter) -> None:
    """A shipped profile gives no field: the same jobs without archive are no warning there."""
    jobs.add(first=transition("created"))
    absent = {"jobs.updated_field": "nofield", "jobs.transition_trans_id": "nonfield"}

    ended = run_command("check", settings={**settings, **CUSTOM, **absent})
    shipped = run_command("check", settings=settings)

    warned = [line for line in ended.out.splitlines() if "none of the newest 200 jobs" in line]
    assert ended.code == shipped.code == 0 and "none of the newest" not in shipped.out
    assert [line.split()[:2] for line in warned] == [["warning", "jobs"]] * 2
    for name, value in absent.items():
        assert any(f"contains {value} ({name}): " in line for line in warned)
