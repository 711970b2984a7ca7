"""A move leaves at most one valid checkpoint at each moment, and always a copy of the position."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.checkpoint_move import CheckpointMove, NamedStore
from bridge.checkpoint.file import FileCheckpointStore
from bridge.errors import CheckpointUnusable, Fenced, NotFound, Usage
from bridge.model.checkpoint import FORMAT, Checkpoint, checkpoint_of
from bridge.model.checkpoint_move import CheckpointMoved, StoreMove
from bridge.model.gap import Gap
from bridge.model.topic_offsets import TopicOffsets
from tests.support.factories import at, checkpoint

NAME = checkpoint().name
NAMESPACE = checkpoint().namespace


class EndedProcess(BaseException):
    """Stands for the end of the process."""


class DyingStore(FileCheckpointStore):
    """Ends the process instead of a write."""

    writes_left = 99

    def replace(self, checkpoint: Checkpoint | None) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise EndedProcess
        super().replace(checkpoint)


@pytest.fixture
def source(tmp_path: Path) -> DyingStore:
    return DyingStore(tmp_path / "source", NAME)


@pytest.fixture
def target(tmp_path: Path) -> DyingStore:
    return DyingStore(tmp_path / "target", NAME)


def stored(store: FileCheckpointStore, content: Checkpoint) -> Checkpoint:
    """Store ``content``, and return it as it is stored."""
    store.acquire()
    store.replace(replace(content, name=store.name))
    store.release()
    loaded = store.load()
    assert loaded is not None
    return loaded


def move(
    source: FileCheckpointStore, target: FileCheckpointStore, *, overwrite: bool = False
) -> Checkpoint:
    return to_file(source, target).run(overwrite=overwrite).checkpoint


def to_file(source: FileCheckpointStore, target: FileCheckpointStore) -> CheckpointMove:
    return CheckpointMove(NamedStore("mongo", source), NamedStore("file", target), NAMESPACE)


def move_back(source: FileCheckpointStore, target: FileCheckpointStore) -> Checkpoint:
    made = CheckpointMove(NamedStore("file", source), NamedStore("mongo", target), NAMESPACE)
    return made.run(overwrite=False).checkpoint


def content(store: FileCheckpointStore) -> Checkpoint:
    """Return the valid checkpoint of a store."""
    loaded = store.load()
    assert loaded is not None
    return loaded


def valid(*stores: FileCheckpointStore) -> int:
    """Return how many of the stores have a checkpoint that a bridge would use."""
    count = 0
    for store in stores:
        try:
            count += store.load() is not None
        except CheckpointMoved:
            continue
    return count


FULL = replace(
    checkpoint(5, sequence=7),
    gap=Gap(1.0, at(9), 2.0),
    offsets=TopicOffsets("topic", {0: 5}),
    clean=True,
    saved_at=77.0,
)


def test_everything_that_stays_valid_moves(source: DyingStore, target: DyingStore) -> None:
    before = stored(source, FULL)

    move(source, target)

    after = content(target)
    assert after.sequence > before.sequence
    assert replace(after, sequence=before.sequence, epoch=before.epoch) == before
    assert before.clean and before.offsets and before.gap


def test_a_plan_writes_nothing(source: DyingStore, target: DyingStore) -> None:
    before = stored(source, FULL)
    source.writes_left = target.writes_left = 0
    moved = to_file(source, target).plan(overwrite=False)

    assert moved.checkpoint == before == content(source)
    assert not moved.finished and target.load() is None


def test_a_plan_refuses_what_the_move_refuses(source: DyingStore, target: DyingStore) -> None:
    stored(source, FULL)
    stored(target, checkpoint(9))

    with pytest.raises(Usage):
        to_file(source, target).plan(overwrite=False)
    assert to_file(source, target).plan(overwrite=True).checkpoint == content(source)


def test_a_plan_names_an_unfinished_move(source: DyingStore, target: DyingStore) -> None:
    stored(source, FULL)
    target.writes_left = 1
    with pytest.raises(EndedProcess):
        move(source, target)

    assert to_file(source, target).plan(overwrite=False).finished
    assert valid(source, target) == 0


def test_the_original_says_where_it_went(source: DyingStore, target: DyingStore) -> None:
    stored(source, FULL)
    move(source, target)

    with pytest.raises(CheckpointUnusable) as refused:
        source.load()

    assert refused.value.what == f"The checkpoint was moved from {source.where} to {target.where}"
    assert refused.value.todo == "Set checkpoint.store = file"
    assert source.entries()[0].damage == refused.value.what


def test_a_second_move_changes_nothing(source: DyingStore, target: DyingStore) -> None:
    stored(source, FULL)
    move(source, target)
    before = content(target)

    assert move(source, target) == before == content(target)


def test_it_moves_back_with_a_later_sequence(source: DyingStore, target: DyingStore) -> None:
    stored(source, FULL)
    move(source, target)
    later = stored(target, replace(content(target), position=at(8), sequence=20))

    move_back(target, source)

    after = content(source)
    assert (after.position, after.sequence > later.sequence) == (at(8), True)
    assert valid(source, target) == 1


@pytest.mark.parametrize(("copy_writes", "original_writes"), [(0, 9), (1, 0), (1, 1)])
def test_an_interrupted_move_is_finished(
    copy_writes: int, original_writes: int, source: DyingStore, target: DyingStore, tmp_path: Path
) -> None:
    """The process ends before each of the three writes."""
    stored(source, FULL)
    target.writes_left, source.writes_left = copy_writes, original_writes
    with pytest.raises(EndedProcess):
        move(source, target)

    source, target = (DyingStore(tmp_path / name, NAME) for name in ("source", "target"))
    assert valid(source, target) == (0 if original_writes == 1 else 1)
    assert valid(target) == 0
    move(source, target)

    assert (valid(source), valid(target)) == (0, 1)
    assert content(target).position == FULL.position
    assert content(target).gap == FULL.gap


def test_an_unfinished_copy_names_the_command(source: DyingStore, target: DyingStore) -> None:
    stored(source, FULL)
    source.writes_left = 0
    with pytest.raises(EndedProcess):
        move(source, target)

    with pytest.raises(CheckpointMoved) as refused:
        target.load()

    assert "from checkpoint.store = mongo" in refused.value.what
    assert refused.value.todo == ("Run 'job-bridge token move file' with checkpoint.store = mongo")


@pytest.mark.parametrize(("seconds", "order"), [(3, "earlier"), (9, "later"), (5, "same")])
def test_a_checkpoint_in_the_target_is_kept(
    seconds: int, order: str, source: DyingStore, target: DyingStore
) -> None:
    stored(source, checkpoint(5))
    there = stored(target, checkpoint(seconds))

    with pytest.raises(Usage) as refused:
        move(source, target)

    assert order in refused.value.what and refused.value.todo == "--yes overwrites it"
    assert content(target) == there and valid(source) == 1


def test_a_refused_first_start_is_overwritten(source: DyingStore, target: DyingStore) -> None:
    stored(source, checkpoint(5))
    stored(target, replace(checkpoint(9), unconfirmed=True))

    move(source, target)

    assert content(target).position == at(5) and not content(target).unconfirmed


def test_an_earlier_first_start_is_kept(source: DyingStore, target: DyingStore) -> None:
    stored(source, checkpoint(5))
    stored(target, replace(checkpoint(3), unconfirmed=True))

    with pytest.raises(Usage):
        move(source, target)


def test_an_overwritten_checkpoint_ends_marks(source: DyingStore, target: DyingStore) -> None:
    """Its bridge may have sent messages after the position that moves."""
    stored(source, FULL)
    there = stored(target, checkpoint(9, sequence=50))

    move(source, target, overwrite=True)

    after = content(target)
    assert after.position == FULL.position and after.sequence > there.sequence
    assert after.offsets is None and not after.clean


def test_a_damaged_target_is_kept(source: DyingStore, target: DyingStore, tmp_path: Path) -> None:
    stored(source, FULL)
    (tmp_path / "target").write_text("{")

    with pytest.raises(Usage, match="is damaged"):
        move(source, target)
    move(source, target, overwrite=True)

    assert content(target).position == FULL.position


def test_nothing_to_move_is_reported(source: DyingStore, target: DyingStore) -> None:
    with pytest.raises(NotFound, match="no checkpoint"):
        move(source, target)

    assert target.load() is None


@pytest.mark.parametrize("owned", ["source", "target"])
def test_an_owned_store_is_refused(
    owned: str, source: DyingStore, target: DyingStore, tmp_path: Path
) -> None:
    before = stored(source, FULL)
    other = FileCheckpointStore(tmp_path / owned, NAME)
    other.acquire()

    with pytest.raises(Fenced):
        move(source, target)

    assert content(source) == before and target.load() is None
    other.release()
    move(source, target)
    assert valid(target) == 1


def test_a_checkpoint_of_another_collection_stays(source: DyingStore, target: DyingStore) -> None:
    stored(source, replace(FULL, namespace="other.jobs"))

    with pytest.raises(CheckpointUnusable, match=r"other\.jobs"):
        move(source, target)

    assert valid(source) == 1 and target.load() is None


def test_older_versions_refuse_or_end_marks() -> None:
    """They refuse the format; one that overwrites the record by hand keeps the unknown field."""
    mark = StoreMove("mongo", "file", "here", left=True)
    record = replace(checkpoint(), move=mark).record()

    assert record["format"] == FORMAT > checkpoint().record()["format"]
    assert checkpoint_of(record | {"format": 1}, "here") == checkpoint()
    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint_of(record | {"move": {"from": "mongo"}}, "here")
