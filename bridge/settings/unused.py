"""Settings that are given although the other settings leave them without effect."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bridge.settings.load import Settings
from bridge.settings.problems import Sources


class _Rule(NamedTuple):
    needs: str
    holds: Callable[[Settings], bool]


_STORE_FILE = _Rule("checkpoint.store = file", lambda s: s.checkpoint.store == "file")
_STORE_MONGO = _Rule("checkpoint.store = mongo", lambda s: s.checkpoint.store == "mongo")
_STORE_KAFKA = _Rule("checkpoint.store = kafka", lambda s: s.checkpoint.store == "kafka")
_JOB_TAGS = _Rule("delivery.mode = background-jobs", lambda s: s.delivery.mode == "background-jobs")
_TRANSITION_TAGS = _Rule(
    "delivery.mode = background-transitions", lambda s: s.delivery.mode == "background-transitions"
)
_BACKGROUND = _Rule("a background mode", lambda s: s.delivery.mode.startswith("background"))
_SASL = _Rule("a SASL protocol", lambda s: s.kafka.uses_sasl)
_KERBEROS = _Rule("kafka.sasl_mechanism = GSSAPI", lambda s: s.kafka.uses_kerberos)

#: What a setting needs to have an effect.
_RULES: Mapping[str, _Rule] = {
    "checkpoint.file": _STORE_FILE,
    "checkpoint.database": _STORE_MONGO,
    "checkpoint.lease_seconds": _STORE_MONGO,
    "checkpoint.instance": _STORE_KAFKA,
    "kafka.sasl_mechanism": _SASL,
    "kafka.sasl_kerberos_service_name": _KERBEROS,
    "sweep.job_tag": _JOB_TAGS,
    "sweep.tagged_by": _JOB_TAGS,
    "sweep.transition_tag": _TRANSITION_TAGS,
    "sweep.every_seconds": _BACKGROUND,
    "sweep.older_than_seconds": _BACKGROUND,
}


def unused(settings: Settings, sources: Sources) -> list[str]:
    """Return a warning for each setting that differs from its default and has no effect."""
    return [
        f"{sources.name(name)} has no effect: it needs {rule.needs}"
        for name, rule in _RULES.items()
        if _differs(settings, name) and not rule.holds(settings)
    ]


def _differs(settings: Settings, name: str) -> bool:
    section, _, key = name.partition(".")
    given = getattr(settings, section)
    default: Any = type(given).model_fields[key].default
    return bool(getattr(given, key) != default)
