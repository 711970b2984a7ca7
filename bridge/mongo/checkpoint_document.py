"""The document of a checkpoint in MongoDB: the record, and the fields of its ownership.

Older versions regard an unknown field beside ``owner``, ``epoch`` and ``renewed_at`` as part of the
record. Therefore new fields of the ownership are inside ``owner``.
"""

from dataclasses import dataclass
from typing import Any

from bridge.errors import CheckpointUnusable
from bridge.model.checkpoint import checkpoint_of
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.owner_process import is_dead, process_text
from bridge.model.stored_count import stored_count
from bridge.mongo.client import Document

#: The owner of a released checkpoint that was removed on purpose; older versions take it over.
CLEARED = "cleared"

#: The fields of the document that are not part of the checkpoint.
_OWNERSHIP = frozenset({"_id", "owner", "epoch", "renewed_at"})


@dataclass(frozen=True, slots=True)
class CheckpointDocument:
    """A document as it was read or written; it may be damaged."""

    fields: Document

    @property
    def record(self) -> Document:
        """The fields of the checkpoint; empty before the first save."""
        return {name: value for name, value in self.fields.items() if name not in _OWNERSHIP}

    @property
    def owner(self) -> Any:
        """The stored owner; None after a release."""
        return self.fields.get("owner")

    @property
    def ownership(self) -> Document:
        """The fields that change with each renewal and each new owner, as a query."""
        return {name: self.fields.get(name) for name in ("owner", "epoch", "renewed_at")}

    @property
    def is_owned(self) -> bool:
        """Whether there is an owner that may be alive."""
        return isinstance(self.owner, dict) and not is_dead(self.owner)

    @property
    def instance(self) -> object:
        """The store that owns the document; None when that is unknown."""
        return self.owner.get("instance") if isinstance(self.owner, dict) else None

    @property
    def cleared(self) -> bool:
        """Whether the checkpoint was removed on purpose and no other was stored since."""
        if isinstance(self.owner, dict):
            return self.owner.get("cleared") is True
        return bool(self.owner == CLEARED)

    @property
    def epoch(self) -> int:
        """The number of the ownership; 0 when it is damaged."""
        return stored_count(self.fields.get("epoch")) or 0

    @property
    def sequence(self) -> int | None:
        """The number of the save; None before the first, or when it is damaged."""
        return stored_count(self.fields.get("sequence"))

    @property
    def owner_text(self) -> str:
        """The owner in words."""
        if not isinstance(self.owner, dict):
            return "another bridge"
        return process_text(self.owner)

    @property
    def owned_since(self) -> float | None:
        """When its owner became it, in Unix seconds; None if that is not known."""
        since = self.owner.get("since") if isinstance(self.owner, dict) else None
        return float(since) if isinstance(since, int | float) else None

    def entry(self, where: str) -> CheckpointEntry:
        """Return the document as a line of the list of checkpoints."""
        name = str(self.fields.get("_id"))
        owner = self.owner_text if self.is_owned else ""
        if not self.record:
            return CheckpointEntry(name, None, owner)
        try:
            return CheckpointEntry(name, checkpoint_of(self.fields, where), owner)
        except CheckpointUnusable as error:
            return CheckpointEntry(name, None, owner, error.what)
