"""The checkpoint record: it is read back as stored; damage raises ``CheckpointUnusable``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CheckpointUnusable
from bridge.model.checkpoint import FORMAT, Checkpoint, checkpoint_of
from bridge.model.cluster_identity import ClusterIdentity
from bridge.model.gap import Gap
from bridge.model.position import ClusterTime, Position, position_before
from bridge.model.topic_offsets import TopicOffsets
from bridge.model.transition import Transition
from tests.support.factories import BASE, at, checkpoint, checkpoint_at, token, transition

UINT32 = st.integers(0, 2**32 - 1)
TIMES = st.builds(ClusterTime, UINT32, UINT32)
TEXT = st.text(max_size=30)
CURSORS = st.builds(
    "{}{:016x}".format, st.sampled_from("nt"), st.integers(0, 253_402_300_799 * 10**6)
)


#: The fields that older versions do not write.
OPTIONAL = {
    "type_bits",
    "place",
    "gap",
    "delivered",
    "offsets",
    "clean",
    "unconfirmed",
    "move",
}


def with_token(time: ClusterTime, rest: str) -> Position:
    return Position(f"82{time.seconds:08X}{time.increment:08X}{rest}", rest[:2])


POSITIONS = TIMES.map(position_before) | st.builds(
    with_token,
    TIMES,
    st.text("0123456789ABCDEF", max_size=60).filter(lambda rest: rest and len(rest) % 2 == 0),
)
SECONDS = st.floats(0, 1e12)
GAPS = st.builds(Gap, st.none() | SECONDS, POSITIONS, SECONDS, st.none() | SECONDS)
TRANSITIONS = st.builds(Transition, TEXT, TEXT, TEXT, TEXT, st.none())
OFFSETS = st.builds(
    TopicOffsets, TEXT, st.dictionaries(st.integers(0, 99), st.integers(0, 2**63 - 1), max_size=3)
)
CHECKPOINTS = st.builds(
    Checkpoint,
    TEXT,
    POSITIONS | st.builds(Position._replace, POSITIONS, recovery_cursor=CURSORS),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    SECONDS,
    st.none() | GAPS,
    st.none() | TRANSITIONS,
    st.none() | OFFSETS,
    st.booleans(),
    st.booleans(),
)
#: Whatever a store may give back: JSON, and no limit on what numbers are.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.integers(10**300, 10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(CHECKPOINTS)
def test_a_record_comes_back_as_it_was(valid: Checkpoint) -> None:
    assert checkpoint_of(json.loads(json.dumps(valid.record())), "here") == valid


@given(CHECKPOINTS, st.integers(0, 2**53))
def test_a_delivered_sequence_is_not_stored(valid: Checkpoint, sequence: int) -> None:
    """A bridge before 0.3 refuses a number of 32 bits or more in its place."""
    delivered = transition(3, "job-1")
    record = replace(valid, delivered=delivered._replace(sequence=sequence)).record()

    assert record["delivered"]["sequence"] is None
    assert checkpoint_of(record, "here").delivered == delivered._replace(sequence=None)


@pytest.mark.parametrize("number", [0, 7, 2**31 - 1])
def test_an_old_record_with_a_sequence_is_read(number: int) -> None:
    record = replace(checkpoint(), delivered=transition(3)).record()
    record["delivered"]["sequence"] = number

    assert checkpoint_of(record, "here").delivered == transition(3)._replace(sequence=None)


@given(CHECKPOINTS, st.data())
def test_a_damaged_field_raises_only_checkpoint_unusable(
    valid: Checkpoint, data: st.DataObject
) -> None:
    record = valid.record()
    for name in data.draw(st.sets(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        record[name] = data.draw(VALUES)
    read_or_refused(record)


@given(st.dictionaries(st.sampled_from(sorted(checkpoint().record())) | TEXT, VALUES))
def test_any_record_raises_only_checkpoint_unusable(record: dict[str, Any]) -> None:
    read_or_refused(record)


def read_or_refused(record: dict[str, Any]) -> None:
    try:
        accepted = checkpoint_of(record, "here")
    except CheckpointUnusable as error:
        assert "here" in error.what
        return
    # What is accepted can be used: for the stream, for people, and to be stored again.
    assert accepted.position.cluster_time.isoformat() in str(accepted.position)
    assert accepted.position.cluster_time <= (2**32, 0)
    bytes.fromhex(accepted.position.type_bits)
    json.dumps(accepted.record())


@pytest.mark.parametrize("name", sorted(checkpoint().record().keys() - OPTIONAL))
def test_a_record_without_a_field_is_damaged(name: str) -> None:
    record = checkpoint().record()
    del record[name]

    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint_of(record, "here")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence", "7"),
        ("sequence", 1.5),
        ("sequence", True),
        ("sequence", -1),
        ("sequence", float("inf")),
        ("epoch", None),
        ("cluster_time", [BASE]),
        ("cluster_time", "12"),
        ("cluster_time", [10**12, 0]),
        ("cluster_time", [float("inf"), 0]),
        ("token", 5),
        ("token", token(7)),
        ("token", token(0)[:10]),
        ("type_bits", "zz"),
        ("format", "1"),
        ("format", 0),
        ("saved_at", "now"),
        ("saved_at", 10**400),
        ("name", b"x"),
        ("place", "t1"),
        ("place", "x" + "0" * 16),
        ("place", "t" + "f" * 16),
        ("place", "t" + "0" * 5000),
    ],
)
def test_a_field_of_another_kind_is_damage(name: str, value: object) -> None:
    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint_of(checkpoint().record() | {name: value}, "here")


@pytest.mark.parametrize("value", [1, "gap", [1]])
@pytest.mark.parametrize("name", ["gap", "delivered"])
def test_a_part_of_another_kind_is_damage(name: str, value: object) -> None:
    record = checkpoint().record() | {"format": FORMAT, name: value}

    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint_of(record, "here")


def test_a_truncated_token_is_damaged() -> None:
    record = checkpoint().record()

    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint_of(record | {"token": record["token"][:17]}, "here")


def test_a_newer_format_names_the_version_to_run() -> None:
    record = checkpoint().record() | {"format": FORMAT + 1, "bridge_version": "9.9"}

    with pytest.raises(CheckpointUnusable, match=r"format 4.*up to 3.*job-bridge 9\.9 or later"):
        checkpoint_of(record, "here")


def test_a_moved_checkpoint_counts_its_saves() -> None:
    before = checkpoint(1, sequence=7)

    after = before.moved(at(2), 99.0)

    assert after == replace(before, position=at(2), sequence=8, saved_at=99.0)


def test_a_save_of_an_older_version_ends_marks() -> None:
    """It keeps the fields that it does not know, and moves the position."""
    known = TopicOffsets("topic", {0: 5})
    before = replace(checkpoint(1, sequence=7), offsets=known, clean=True, unconfirmed=True)

    read = checkpoint_of({**before.record(), "sequence": 8}, "here")

    assert read == replace(before, sequence=8, offsets=None, clean=False, unconfirmed=False)


ORIGIN = ClusterIdentity(
    "db.jobs", "rs0/6500000000000000", "fingerprint", ClusterTime(BASE + 10, 1)
)


def test_our_own_checkpoint_is_admitted() -> None:
    ORIGIN.admit(checkpoint(10))


def test_a_first_checkpoint_made_here_is_admitted() -> None:
    newest = ORIGIN.cluster_time
    first = ORIGIN.first("bridge", position_before(newest.next()), 1, 0.0)

    ORIGIN.admit(first)
    assert (first.sequence, first.epoch, first.namespace) == (0, 1, "db.jobs")


@pytest.mark.parametrize("stored", ["rs0/", "rs0/6500000000000000", "other/6500000000000000"])
def test_a_hidden_cluster_id_is_compared_by_set(stored: str) -> None:
    """Without the right to read it, the id is missing on either side."""
    ORIGIN.admit(replace(checkpoint(), mongo_cluster_id=stored))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda stored: replace(stored, namespace="db.other"), "db.other"),
        (
            lambda stored: replace(stored, mongo_cluster_id="rs0/6511111111111111"),
            "6511111111111111",
        ),
        (lambda stored: replace(stored, mongo_cluster_id="rs1/"), "rs1/"),
        (lambda stored: checkpoint_at(ClusterTime(BASE + 11, 0)), "restored from a backup"),
    ],
)
def test_a_foreign_checkpoint_is_refused(
    damage: Callable[[Checkpoint], Checkpoint], words: str
) -> None:
    with pytest.raises(CheckpointUnusable, match=words):
        ORIGIN.admit(damage(checkpoint()))
