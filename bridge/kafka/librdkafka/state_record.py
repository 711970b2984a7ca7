"""The record of a checkpoint in the state topic: the checkpoint, and who stored it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import CheckpointUnusable
from bridge.hints import Hint
from bridge.model.checkpoint import UNCHANGED, Checkpoint, checkpoint_of
from bridge.model.owner_process import process_text
from bridge.model.stored_count import stored_count

#: A later time is damage, and no date.
_MAX_TIME = 2**32


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A record as it was read or written.

    Attributes:
        fields: The stored fields; empty before the first record, and after damage.
        damage: Why the record cannot be read; empty when it can.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is a record, which may be damaged."""
        return bool(self.fields or self.damage)

    @property
    def cleared(self) -> bool:
        """Whether it says that the checkpoint was removed on purpose."""
        return self.fields.get("cleared") is True and "format" not in self.fields

    @property
    def epoch(self) -> int:
        """The number of the ownership that stored it; 0 when that is not known."""
        return stored_count(self.fields.get("epoch")) or 0

    @property
    def sequence(self) -> int | None:
        """The number of the save; None before the first, or when it is damaged."""
        return stored_count(self.fields.get("sequence"))

    @property
    def owner(self) -> Mapping[str, Any]:
        """The process that stored it: ``{host, pid, since}``; empty when that is not known."""
        owner = self.fields.get("owner")
        return owner if isinstance(owner, dict) else {}

    @property
    def owner_text(self) -> str:
        """The process that stored it, in words."""
        return process_text(self.owner) if self.owner else "another bridge"

    @property
    def owned_since(self) -> float | None:
        """When that process became the owner, in Unix seconds; None when that is not known."""
        since = self.owner.get("since")
        if isinstance(since, int | float) and 0 < since < _MAX_TIME:
            return float(since)
        return None

    def checkpoint(self, name: str, where: str) -> Checkpoint | None:
        """Return the checkpoint; None if there is no record, or it was removed on purpose.

        Raises:
            CheckpointUnusable: The record is damaged, from a newer version, or of another name.
        """
        if self.damage:
            raise CheckpointUnusable(
                f"The checkpoint in {where} is damaged: {self.damage}",
                UNCHANGED,
                "Find the program that wrote there, then run "
                f"'{Hint.TOKEN_SET_TIME}' with a time before the damage",
            )
        if not self.fields or self.cleared:
            return None
        checkpoint = checkpoint_of(self.fields, where)
        if checkpoint.name != name:
            raise CheckpointUnusable(
                f"The checkpoint in {where} belongs to '{checkpoint.name}', not to '{name}'",
                UNCHANGED,
                "Find the program that wrote there, then run "
                f"'{Hint.TOKEN_SET_TIME}' with a time before the damage",
            )
        return checkpoint

    def value(self) -> bytes | None:
        """Return the value of the Kafka record; None, a tombstone, where there is no record."""
        return json.dumps(self.fields).encode() if self.fields else None


def state_record_of(value: bytes | None) -> StateRecord:
    """Read the value of a Kafka record; any program may have written it."""
    if value is None:
        return StateRecord()
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError) as error:
        return StateRecord(damage=str(error) or type(error).__name__)
    if not isinstance(fields, dict):
        return StateRecord(damage="it does not contain a record")
    return StateRecord(fields) if fields else StateRecord(damage="it is empty")
