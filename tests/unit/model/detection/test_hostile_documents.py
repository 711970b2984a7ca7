"""Documents that no service should write: the proposal ends, and never with an exception."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.detection.proposal import propose
from bridge.settings.schema import PROFILE_SETTINGS
from tests.support import job_layouts

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=5),
    st.datetimes(),
    st.sampled_from(
        [
            Int64(5),
            Decimal128("NaN"),
            Binary(b"x" * 16, 4),
            b"x",
            DatetimeMS(2**62),
            Timestamp(1, 1),
            ObjectId("0" * 24),
            "created",
            "running",
            "\udcff",
        ]
    ),
)
names = st.sampled_from(
    ["_id", "id", "state", "status", "history", "log", "updated", "time", "a.b", "$c", "", "\udcff"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


class TestHostileDocuments:
    @given(st.lists(st.dictionaries(names, values, max_size=6), max_size=6))
    def test_any_documents_give_a_proposal(self, documents: list[dict[str, Any]]) -> None:
        proposal = propose(documents)

        decided = proposal.jobs.keys() | {undecided.setting for undecided in proposal.undecided}
        assert {"profile", "id_field", "state_field", "transitions_field"} <= decided
        assert proposal.jobs.keys() <= {"profile", *PROFILE_SETTINGS}


@pytest.mark.parametrize("name", ["sta.te", "$state", "", "état", "\udcff"])
def test_names_that_settings_refuse_are_not_proposed(name: str) -> None:
    documents = [{**job, name: job["state"]} for job in job_layouts.cts()]

    assert propose(documents).jobs["profile"] == "cts"

    for document in documents:
        del document["state"]
    assert "state_field" not in propose(documents).jobs


def test_a_few_odd_documents_do_not_count() -> None:
    odd: list[dict[str, Any]] = [{"_id": 1, "state": 7}, {"_id": datetime(2026, 1, 1)}]

    proposal = propose([*job_layouts.cts(), *odd])

    assert proposal.jobs["profile"] == "cts"
    assert "2 of 22 jobs have no id: their transitions are dead-lettered." in proposal.notes


def test_an_embedded_document_is_no_id() -> None:
    documents = [{**job, "_id": {"a": number}} for number, job in enumerate(job_layouts.airflow())]

    proposal = propose(documents)

    assert proposal.undecided[0].setting == "id_field"
    assert "_id: object has no text for a message key" in proposal.undecided[0].reason
