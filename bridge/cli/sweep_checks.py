"""Describes the writes of a sweep, and refuses it beside a bridge of another mode."""

import logging
from collections.abc import Sequence

from bridge.errors import BridgeError, Misconfigured
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.profile import namespace_of, profile_of
from bridge.settings import Settings

logger = logging.getLogger("bridge")


def written_by_sweep(settings: Settings) -> str:
    """Return in words what a sweep sends, and what it writes to the jobs."""
    sent = f"{namespace_of(settings)} to {settings.kafka.topic}"
    if settings.delivery.mode == "background-jobs":
        return (
            f"the sweep sends tagged jobs of {sent}, and then removes their field "
            f"{settings.sweep.job_tag}"
        )
    tag, history = settings.sweep.transition_tag, profile_of(settings).transitions_field
    return (
        f"the sweep sends tagged transitions of {sent}, and then sets {history}.{tag} to true "
        "in their jobs"
    )


def refuse_beside_bridge(settings: Settings) -> None:
    """Raise ``Misconfigured`` if a bridge of another mode publishes the same collection.

    Modes in which the service sets the tags store no position, so the owner of a checkpoint is a
    bridge of another mode. Where the bridge sets the tags, the owner may be of the same mode.
    A store that cannot be read is a warning only: a sweep does not need the right to read it.
    """
    if not settings.keeps_no_position:
        return
    try:
        entries = _entries(settings)
    except BridgeError as error:
        logger.warning(
            "cannot see whether a bridge of another mode publishes %s: %s. "
            "If there is such a bridge, every message is sent twice",
            namespace_of(settings),
            error.what,
        )
        return
    namespace = namespace_of(settings)
    for entry in entries:
        if entry.owner and entry.checkpoint and entry.checkpoint.namespace == namespace:
            raise Misconfigured(
                f"A bridge of another mode publishes {namespace}: {entry.owner} owns the "
                f"checkpoint '{entry.name}'",
                "Nothing was sent, and no tag was removed; a sweep would send its messages again",
                "Stop that bridge, or set delivery.mode to its mode; if it has ended already, "
                "--force sweeps",
            )


def _entries(settings: Settings) -> Sequence[CheckpointEntry]:
    from bridge.app.wiring import open_store

    delivery = settings.delivery.model_copy(update={"mode": "at-least-once"})
    positioned = settings.model_copy(update={"delivery": delivery})
    with open_store(positioned, settings.checkpoint.store) as store:
        return store.entries()
