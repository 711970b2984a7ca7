"""The record in the state topic: whatever a program may have written is read or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CheckpointUnusable
from bridge.kafka.librdkafka.state_record import StateRecord, state_record_of
from tests.support.factories import checkpoint

OWNER = {"host": "vm", "pid": 7, "since": 12.5}


def test_a_record_keeps_checkpoint_and_owner() -> None:
    stored = StateRecord({**checkpoint(3).record(), "epoch": 4, "owner": OWNER})

    read = state_record_of(stored.value())

    assert read == stored
    assert (read.epoch, read.sequence, read.cleared) == (4, 0, False)
    assert (read.owner_text, read.owned_since) == ("the bridge with process 7 on vm", 12.5)
    loaded = read.checkpoint("bridge", "the topic")
    assert loaded is not None and loaded.position == checkpoint(3).position and loaded.epoch == 4


def test_a_missing_record_is_no_checkpoint() -> None:
    for value in (None, StateRecord({"cleared": True, "name": "bridge", "epoch": 2}).value()):
        assert state_record_of(value).checkpoint("bridge", "the topic") is None

    assert not state_record_of(None).cleared
    assert not state_record_of(None).exists


@given(
    st.binary(max_size=50)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["epoch", "sequence", "owner", "cleared", "format", "since"]), inner
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_value_is_read_or_refused(value: bytes) -> None:
    record = state_record_of(value)

    assert record.exists
    assert 0 <= record.epoch < 2**62
    assert record.owner_text
    assert record.owned_since is None or isinstance(record.owned_since, float)
    try:
        assert record.checkpoint("bridge", "the topic") is None
        assert record.cleared
    except CheckpointUnusable as error:
        assert "the topic" in str(error)


@pytest.mark.parametrize("sequence", ["many", -1, 2**62, True, None, 1.5])
def test_a_damaged_sequence_is_not_continued(sequence: object) -> None:
    assert StateRecord({"sequence": sequence}).sequence is None
