"""Reacts to a lost resume point: the next session publishes the gap before the stream."""

import logging

from bridge.app.ownership import Ownership
from bridge.app.starting_point import StartingPoint
from bridge.errors import ResumePointLost
from bridge.settings import Settings

logger = logging.getLogger("bridge")


def note_gap(
    ownership: Ownership,
    starting_point: StartingPoint,
    settings: Settings,
    error: ResumePointLost,
) -> None:
    """Store the gap, or forget a position that the tags replace.

    Raises:
        ResumePointLost: ``error`` itself, when the settings say stop.
    """
    progress = ownership.progress
    if settings.keeps_no_position or progress is None:
        logger.warning(
            "%s; nothing is lost, the tags mark the unsent transitions: resuming from now",
            error.what,
        )
        ownership.forget_position()
        return
    gap = starting_point.gap_since(progress.position, progress.stored, error)
    progress.lose(gap)
    logger.warning(
        "%s. Nothing is skipped: the changes since then are published from the jobs' history, "
        "starting %g s earlier",
        error.what,
        settings.recovery_margin,
        extra={"position": str(progress.position)},
    )
