"""The name of a checkpoint when the settings leave it open."""

from collections.abc import Sequence

from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.profile import namespace_of
from bridge.settings import Settings

#: The default of ``checkpoint.name`` in earlier versions, for every collection.
FORMER_DEFAULT = "job-bridge"


def checkpoint_name(settings: Settings) -> str:
    """Return ``checkpoint.name``, by default the namespace of the collection."""
    return settings.checkpoint.name or namespace_of(settings)


def with_checkpoint_name(settings: Settings) -> Settings:
    """Return settings in which ``checkpoint.name`` is set."""
    named = settings.checkpoint.model_copy(update={"name": checkpoint_name(settings)})
    return settings.model_copy(update={"checkpoint": named})


def stored_name(entries: Sequence[CheckpointEntry], namespace: str) -> str:
    """Return the name under which the store has the checkpoint of ``namespace``.

    This is the former default if that checkpoint belongs to the collection. A checkpoint that was
    cleared, was never saved or cannot be read does not show its collection: it counts as this
    collection's unless the store has a checkpoint under the new name.
    """
    by_name = {entry.name: entry for entry in entries}
    former = by_name.get(FORMER_DEFAULT)
    if former is None:
        return namespace
    if former.checkpoint is not None:
        return FORMER_DEFAULT if former.checkpoint.namespace == namespace else namespace
    return namespace if namespace in by_name else FORMER_DEFAULT


def former_default_note(namespace: str) -> str:
    """Return the line for the log when the former default is used."""
    return (
        f"the checkpoint of {namespace} is '{FORMER_DEFAULT}', the default name of earlier "
        "versions: this bridge resumes from it and keeps the name"
    )
