"""A probe of MongoDB: the majority, the collection, its documents and the rights."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

import pytest
from pymongo import MongoClient

from bridge.app.bridge import Bridge
from bridge.app.checks import MongoDbCheck
from bridge.demo.servers.process import poll
from bridge.errors import NotPermitted, Retryable
from bridge.model.health import MAJORITY_SECONDS
from bridge.model.profile import profile_of
from bridge.mongo.probe import SourceProbe
from bridge.settings import Settings
from tests.support.factories import settings
from tests.support.fakes import FakeClock
from tests.support.held_replication import replication_held
from tests.support.servers.mongo import FAIL_POINTS, MongoDeployment

Document = dict[str, Any]

NOW = datetime(2026, 1, 1)
FITTING: Document = {"id": "job-1", "state": "created", "transition_times": []}


@contextmanager
def probe_of(chosen: Settings) -> Iterator[SourceProbe]:
    probe = SourceProbe(chosen, profile_of(chosen))
    try:
        yield probe
    finally:
        probe.close()


@pytest.fixture
def chosen(mongo: MongoDeployment, database: str) -> Settings:
    return settings(mongo__uri=mongo.uri, mongo__database=database)


def misfit_of(chosen: Settings, mongo: MongoDeployment, *documents: Document) -> str:
    with MongoClient[Document](mongo.uri) as client, probe_of(chosen) as probe:
        if documents:
            client[chosen.mongo.database]["jobs"].insert_many(documents)
        return probe.source.sample.misfit()


def test_an_empty_collection_fits(chosen: Settings, mongo: MongoDeployment) -> None:
    assert misfit_of(chosen, mongo) == ""


def test_documents_of_the_profile_fit(chosen: Settings, mongo: MongoDeployment) -> None:
    assert misfit_of(chosen, mongo, dict(FITTING)) == ""


def test_one_fitting_document_is_enough(chosen: Settings, mongo: MongoDeployment) -> None:
    odd: list[Document] = [{"name": number} for number in range(8)]

    assert misfit_of(chosen, mongo, dict(FITTING), *odd) == ""


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"_id": "job-1", "transition_times": []}, "the job id id is missing (jobs.id_field)"),
        ({"id": 7, "transition_times": []}, "the job id id is int, not text (jobs.id_field)"),
        (
            {"id": "job-1", "state": "created"},
            "the history transition_times is missing (jobs.transitions_field)",
        ),
        (
            {"id": "job-1", "transition_times": {"0": {}}},
            "the history transition_times is dict, not an array (jobs.transitions_field)",
        ),
        (
            {"id": "job-1", "transition_times": [{"state": 3, "time": NOW}]},
            "the state state of each transition is int, not text (jobs.transition_state)",
        ),
        (
            {"id": "job-1", "transition_times": [{"state": "run", "time": 3.5}, {"state": "end"}]},
            "the time time of each transition is float, not a date (jobs.transition_time)",
        ),
    ],
)
def test_documents_without_the_fields_do_not_fit(
    chosen: Settings, mongo: MongoDeployment, document: Document, problem: str
) -> None:
    assert misfit_of(chosen, mongo, dict(document)) == problem


def test_without_a_history_the_state_counts(mongo: MongoDeployment, database: str) -> None:
    chosen = settings(
        mongo__uri=mongo.uri,
        mongo__database=database,
        mongo__collection="jobs",
        jobs__profile="ee2",
    )

    assert (
        misfit_of(chosen, mongo, {"_id": "job-1"})
        == "the state status is missing (jobs.state_field)"
    )
    assert misfit_of(chosen, mongo, {"_id": "job-2", "status": "running"}) == ""


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"status": NOW}, "the state status is datetime, not text (jobs.state_field)"),
        (
            {"status": "running", "updated": "today"},
            "the time updated is str, not a date (jobs.updated_field)",
        ),
        ({"status": "running", "updated": 1_800_000_000}, ""),
    ],
)
def test_the_latest_state_needs_its_types(
    document: Document, problem: str, mongo: MongoDeployment, database: str
) -> None:
    """Every transition would be a dead letter: init and check say so before."""
    chosen = settings(
        mongo__uri=mongo.uri,
        mongo__database=database,
        mongo__collection="jobs",
        jobs__profile="ee2",
    )

    assert misfit_of(chosen, mongo, {"_id": "job-1", **document}) == problem


@pytest.mark.parametrize(
    ("changed", "absent"),
    [
        ({"at": NOW, "log": [None, {"uid": "t-1"}]}, ["archive_field"]),
        ({"at": None, "log": [{"uid": None}], "old": []}, ["updated_field", "transition_trans_id"]),
        ({"at": NOW, "log": [None], "old": [{"uid": "t-0"}]}, []),
        ({"at": NOW, "log": []}, ["archive_field"]),
        ({"at": NOW}, ["archive_field"]),
    ],
    ids=["archive", "null", "archived", "empty", "none"],
)
def test_a_field_of_no_job_is_absent(
    changed: Document, absent: list[str], mongo: MongoDeployment, database: str
) -> None:
    names = {"id_field": "id", "state_field": "state", "transitions_field": "log"}
    names |= {"archive_field": "old", "updated_field": "at", "transition_trans_id": "uid"}
    given = {f"jobs__{name}": value for name, value in names.items()}
    chosen = settings(
        mongo__uri=mongo.uri, mongo__database=database, jobs__profile="custom", **given
    )
    with MongoClient[Document](mongo.uri) as client, probe_of(chosen) as probe:
        assert probe.source.sample.absent(names) == []
        client[database]["jobs"].insert_one({"id": "job-1", "state": "run", "log": [], **changed})
        assert probe.source.sample.absent(names) == absent


def test_a_missing_collection_is_noticed(chosen: Settings, mongo: MongoDeployment) -> None:
    with MongoClient[Document](mongo.uri) as client, probe_of(chosen) as probe:
        assert not probe.source.collection_exists()
        client[chosen.mongo.database].create_collection("jobs")
        assert probe.source.collection_exists()


def test_a_frozen_server_fails_within_seconds(chosen: Settings, mongo: MongoDeployment) -> None:
    with probe_of(chosen) as probe:
        probe.source.cluster.newest_writes()
        mongo.pause()
        try:
            with pytest.raises(Retryable, match="does not answer"):
                probe.source.cluster.newest_writes()
        finally:
            mongo.resume()
    with probe_of(chosen) as probe:
        assert probe.source.cluster.newest_writes().primary is not None


def test_removing_tags_needs_its_right(tmp_path_factory: pytest.TempPathFactory) -> None:
    with MongoDeployment(tmp_path_factory.mktemp("rights"), auth=True) as server:
        with MongoClient[Document](server.root_uri) as client:
            for name, role in (("reader", "read"), ("writer", "readWrite")):
                client["cts"].command("createUser", name, pwd="secret", roles=[role])
            client["cts"]["jobs"].insert_one(dict(FITTING))

        def check(user: str) -> None:
            chosen = settings(
                mongo__uri=server.uri,
                mongo__database="cts",
                mongo__username=user,
                mongo__password="secret",
                delivery__mode="background-transitions",
            )
            with probe_of(chosen) as probe:
                probe.source.check_tag_rights()

        check("writer")
        with pytest.raises(NotPermitted):
            check("reader")


class _ProbedBridge:
    """A bridge of which only the probe is needed."""

    stored = None

    def __init__(self, chosen: Settings) -> None:
        self._chosen = chosen

    def source_probe(self) -> SourceProbe:
        return SourceProbe(self._chosen, profile_of(self._chosen))


def test_a_majority_that_stands_still_is_noticed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """An idle replica set is well; a primary that writes alone is not."""
    database = f"test-{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("majority")
    with (
        MongoDeployment(folder, nodes=3, arguments=FAIL_POINTS) as server,
        MongoClient[Document](server.uri, w=1) as client,
    ):
        chosen = settings(mongo__uri=server.uri, mongo__database=database)
        clock = FakeClock()
        check = MongoDbCheck(chosen, cast(Bridge, _ProbedBridge(chosen)), clock)

        def reason() -> str:
            check.ask()
            return check.reason(clock.monotonic())

        assert reason() == ""
        clock.advance(MAJORITY_SECONDS)
        poll(lambda: reason() == "", "an idle majority")
        with replication_held(server):
            client[database]["jobs"].insert_one(dict(FITTING))
            reason()
            clock.advance(MAJORITY_SECONDS)
            assert "has not confirmed a write of the primary" in reason()
        poll(lambda: reason() == "", "the majority")
        check.close()
