"""The effective settings with their sources, and without secrets."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bridge.delivery.modes import TRANSACTION_MESSAGES
from bridge.model.checkpoint_name import checkpoint_name
from bridge.model.profile import profile_of
from bridge.settings import Settings
from bridge.settings.load import secret_names, setting_names
from bridge.settings.problems import DEFAULT, Sources
from bridge.settings.schema import PROFILE_SETTINGS


class EffectiveSetting(NamedTuple):
    """A setting as the bridge uses it.

    Attributes:
        name: ``section.name``.
        value: The value; None for a secret that is given.
        source: The option, the variable or the file, or ``default``.
        secret: Whether it is a secret.
    """

    name: str
    value: Any
    source: str
    secret: bool


def effective(settings: Settings, sources: Sources) -> list[EffectiveSetting]:
    """Return all settings in the order of the reference.

    The value of a setting that follows from others, such as ``checkpoint.name``, is resolved.
    """
    return list(_effective(settings, sources))


def table(settings: Sequence[EffectiveSetting]) -> list[str]:
    """Return lines with a header and aligned columns; nothing is shortened."""
    rows = [("setting", "value", "source"), *map(_row, settings)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{name:{widths[0]}}  {value:{widths[1]}}  {source}" for name, value, source in rows]


def _effective(settings: Settings, sources: Sources) -> Iterator[EffectiveSetting]:
    derived, secrets = _derived(settings), secret_names()
    for name in setting_names():
        section, _, key = name.partition(".")
        given = getattr(getattr(settings, section), "from_" if key == "from" else key)
        source, secret = sources.source(name), name in secrets
        if secret:
            given = given.get_secret_value() if source == DEFAULT else None
        value = derived.get(name, given)
        yield EffectiveSetting(name, value, source, secret)


def _derived(settings: Settings) -> dict[str, Any]:
    """Return the values that other settings decide."""
    profile = profile_of(settings)
    derived: dict[str, Any] = {
        **{f"jobs.{name}": getattr(profile, name) for name in PROFILE_SETTINGS},
        "mongo.collection": profile.collection,
        "checkpoint.name": checkpoint_name(settings),
        "recovery.margin_seconds": settings.recovery_margin,
    }
    delivery = settings.delivery
    if delivery.mode == "exactly-once" and "window_messages" not in delivery.model_fields_set:
        derived["delivery.window_messages"] = TRANSACTION_MESSAGES
    return derived


def _row(setting: EffectiveSetting) -> tuple[str, str, str]:
    hidden = setting.secret and setting.value is None
    value = "(secret)" if hidden else json.dumps(setting.value, ensure_ascii=False)
    return setting.name, "" if value == "null" else value, setting.source
