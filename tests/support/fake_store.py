"""A checkpoint store in memory, which several bridges of a test share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bridge.clock import Clock
from bridge.errors import BridgeError, CheckpointUnusable, Fenced
from bridge.model.checkpoint import Checkpoint, checkpoint_of
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.membership import Member, Membership


@dataclass
class SharedCheckpoint:
    """The record that stores of the same name share, its owner, and its epoch."""

    clock: Clock
    lease: float = 10.0
    record: dict[str, Any] | None = None
    owner: FakeStore | None = None
    epoch: int = 0
    renewed: float = 0.0
    cleared: bool = False
    dead: list[FakeStore] = field(default_factory=list)
    saves: list[Checkpoint] = field(default_factory=list)


class FakeStore:
    """See :class:`bridge.pipeline.ports.CheckpointStore`; ``failure`` fails the next write."""

    def __init__(self, shelf: SharedCheckpoint, name: str = "bridge") -> None:
        self._shelf = shelf
        self.name = name
        self.where = f"memory ({name})"
        self._epoch = 0
        self.failure: BridgeError | None = None
        self.renewals = 0
        self.before_save: Callable[[Checkpoint], None] = lambda _: None

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def cleared(self) -> bool:
        return self._shelf.cleared

    def acquire(self) -> str:
        shelf = self._shelf
        if shelf.owner is self:
            self.renew()
            return ""
        silent = shelf.clock.monotonic() - shelf.renewed > shelf.lease
        if shelf.owner is not None and shelf.owner not in shelf.dead and not silent:
            return f"another bridge owns the checkpoint '{self.name}'"
        shelf.owner, shelf.renewed = self, shelf.clock.monotonic()
        shelf.epoch += 1
        self._epoch = shelf.epoch
        return ""

    def load(self) -> Checkpoint | None:
        if self._shelf.record is None:
            return None
        checkpoint = checkpoint_of(self._shelf.record, self.where)
        if checkpoint.name != self.name:
            raise CheckpointUnusable(f"the checkpoint belongs to {checkpoint.name}")
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        self.before_save(checkpoint)
        self.renew()
        if checkpoint.sequence > self._sequence:
            self._store(checkpoint)

    def renew(self) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        if self._shelf.owner is not self:
            raise Fenced(f"another bridge took over the checkpoint '{self.name}'")
        self.renewals += 1
        self._shelf.renewed = self._shelf.clock.monotonic()

    def release(self) -> None:
        if self._shelf.owner is self:
            self._shelf.owner = None
        self._epoch = 0

    def replace(self, checkpoint: Checkpoint | None) -> None:
        self.renew()
        if checkpoint is None:
            self._shelf.record = None
            self._shelf.cleared = True
            return
        sequence = max(checkpoint.sequence, self._sequence + 1)
        self._store(dataclasses.replace(checkpoint, sequence=sequence))

    def remove(self) -> None:
        self.renew()
        self._shelf.record = None
        self._shelf.cleared = False
        self._shelf.epoch = 0
        self.release()

    def entries(self) -> list[CheckpointEntry]:
        if self._shelf.record is None and not self._shelf.cleared:
            return []
        owner = "another bridge" if self._shelf.owner else ""
        return [CheckpointEntry(self.name, self.load(), owner)]

    def ownership(self) -> Membership:
        if self._shelf.owner is None:
            return Membership()
        is_us = self._shelf.owner is self
        return Membership(Member("this bridge" if is_us else "another bridge"), is_us=is_us)

    def check_rights(self) -> None:
        """Everybody may."""

    @property
    def _sequence(self) -> int:
        """The stored sequence; -1 when there is no number."""
        stored = (self._shelf.record or {}).get("sequence")
        return stored if isinstance(stored, int) else -1

    def _store(self, checkpoint: Checkpoint) -> None:
        self._shelf.record = checkpoint.record() | {"epoch": self._epoch}
        self._shelf.cleared = False
        self._shelf.saves.append(checkpoint)
