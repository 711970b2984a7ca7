"""The identity that is made for a transition without an identity."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.transition import made_trans_id

SEQUENCES_OR_TIMES = st.integers(0) | st.tuples(st.integers(0), st.integers(0))


@given(st.text(), SEQUENCES_OR_TIMES, st.text())
def test_a_made_identity_is_stable(job_id: str, sequence_or_time: object, state: str) -> None:
    made = made_trans_id(job_id, sequence_or_time, state)

    assert made == made_trans_id(job_id, sequence_or_time, state)
    assert uuid.UUID(made).version == 5


def test_a_made_identity_never_changes_between_versions() -> None:
    assert made_trans_id("job-1", 0, "created") == "55a3ad58-d1d8-5da6-9b5f-5a5b552cc2fd"


def test_made_identities_differ_by_job_sequence_and_state() -> None:
    made = {
        made_trans_id(job, index, state)
        for job in "ab"
        for index in range(3)
        for state in ("x", "y")
    }

    assert len(made) == 12
