"""Reads the settings from all sources, and reports all problems together.

The sources, from the weakest to the strongest: defaults, the TOML file, ``JOB_BRIDGE_SECTION_NAME``
in the environment (a secret also from the file that ``JOB_BRIDGE_SECTION_NAME_FILE`` names), and
options of the command line.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bridge.errors import Misconfigured
from bridge.settings import schema
from bridge.settings.http import HttpSettings
from bridge.settings.job_rules import job_problems
from bridge.settings.kafka import KafkaSettings
from bridge.settings.names import variable
from bridge.settings.problems import (
    SettingsProblems,
    Sources,
    flat,
    named,
    problem,
    remarks,
    unknown_in_file,
    unknown_variables,
    without_service_links,
)
from bridge.settings.section import Section, is_quoted
from bridge.settings.settings_file import read_file
from bridge.settings.topic_names import state_topic_problem

#: The margin of a recovery that sends the messages of the topic again.
_SHORT_MARGIN_SECONDS = 60.0

#: The part of the bridge that uses the secrets of a section.
_PARTS = {"mongo": "mongodb", "kafka": "kafka"}

Nested = dict[str, dict[str, Any]]


class Settings(BaseSettings):
    """All settings, validated and frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    mongo: schema.MongoSettings = schema.MongoSettings()
    jobs: schema.JobsSettings = schema.JobsSettings()
    kafka: KafkaSettings = KafkaSettings()
    delivery: schema.DeliverySettings = schema.DeliverySettings()
    checkpoint: schema.CheckpointSettings = schema.CheckpointSettings()
    start: schema.StartSettings = schema.StartSettings()
    recovery: schema.RecoverySettings = schema.RecoverySettings()
    sweep: schema.SweepSettings = schema.SweepSettings()
    verify: schema.VerifySettings = schema.VerifySettings()
    http: HttpSettings = HttpSettings()
    log: schema.LogSettings = schema.LogSettings()

    #: The file of each secret that was read from a file, by ``section.name``.
    _secret_files: dict[str, str] = PrivateAttr(default_factory=dict)

    def with_present_secrets(self) -> "Settings":
        """Return a copy whose secrets are read again from their files; nothing else changes.

        Raises:
            Misconfigured: A file is empty or cannot be read, for example while it is replaced.
        """
        sections: dict[str, Section] = {}
        for name, path in self._secret_files.items():
            section, _, key = name.partition(".")
            present = sections.get(section, getattr(self, section))
            sections[section] = present.with_secret(key, _read_again(name, path))
        return self.model_copy(update=sections) if sections else self

    @property
    def keeps_no_position(self) -> bool:
        """Whether the bridge works without a checkpoint and without a change stream.

        True in the background modes if the service sets the tags: the tags record what is unsent.
        If the bridge sets the tags, it needs a position: it would never tag a change it missed.
        """
        return self.delivery.mode.startswith("background") and not self.bridge_tags

    @property
    def bridge_tags(self) -> bool:
        """Whether the bridge itself sets the tags."""
        return self.delivery.mode == "background-jobs" and self.sweep.tagged_by == "bridge"

    @property
    def recovery_margin(self) -> float:
        """How far the writers' clocks may differ, in seconds.

        Without read-back a recovery sends its transitions again, so the default is short.
        """
        is_default = "margin_seconds" not in self.recovery.model_fields_set
        if is_default and self.kafka.read_back == "off":
            return _SHORT_MARGIN_SECONDS
        return self.recovery.margin_seconds

    @property
    def uses_state_topic(self) -> bool:
        """Whether the position is kept in Kafka."""
        return self.checkpoint.store == "kafka" and not self.keeps_no_position

    @model_validator(mode="after")
    def state_topic_has_a_name(self) -> "Settings":
        if self.uses_state_topic and (problem := state_topic_problem(self.kafka.topic)):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def mode_has_its_settings(self) -> "Settings":
        """Check the rules across sections."""
        mode = self.delivery.mode
        missing = ""
        if mode == "exactly-once":
            missing = self._missing_for_transactions()
        elif mode == "background-jobs" and not self.sweep.job_tag:
            missing = "sweep.job_tag, the field of a job that is true while its state is unsent"
        elif mode == "background-transitions" and not self.sweep.transition_tag:
            missing = (
                "sweep.transition_tag, the field of a transition that is false until it was sent"
            )
        if missing:
            raise ValueError(f"delivery.mode = {mode} needs {missing}")
        if self.keeps_no_position and self.start.from_ != "now":
            raise ValueError(
                f"start.from = {self.start.from_} has no meaning with delivery.mode = {mode}: "
                "the tags decide which transitions are sent"
            )
        return self

    def _missing_for_transactions(self) -> str:
        if self.checkpoint.store != "kafka":
            return "checkpoint.store = kafka: messages and position are in one transaction"
        if self.kafka.driver == "kafka-python":
            return "the driver librdkafka, which kafka.driver = kafka-python excludes: set auto"
        return ""


def _layered(*layers: Nested) -> Settings:
    """Merge the layers, the strongest first, and validate the result.

    The layers are read in this module, because the library's environment source would read
    ``SECTION_NAME_FILE`` as a setting, accept names in any case and ignore unknown names.
    """

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, {**layer}) for layer in layers)

    return Settings.model_construct(**dict(Layered()))


def setting_names() -> dict[str, Any]:
    """Return every setting as ``section.name``, with its pydantic field."""
    fields = {}
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, Section)  # noqa: S101 - for mypy
        for name, inner in model.model_fields.items():
            fields[f"{section}.{inner.alias or name}"] = inner
    return fields


def secret_names() -> frozenset[str]:
    """Return the settings whose values are never shown."""
    fields = setting_names()
    return frozenset(name for name, field in fields.items() if field.annotation is SecretStr)


def load(
    path: Path | None,
    options: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
    *,
    used: Sequence[str] = ("",),
) -> Settings:
    """Read and validate the settings.

    Args:
        path: The settings file, if there is one.
        options: The options given on the command line, by ``section.name``.
        environment: The environment variables.
        used: The names of the settings that are used, or their beginnings. It decides which rules
            on the fields of the jobs apply; all other rules always do.

    Raises:
        Misconfigured: Contains all problems, each under the name that was given.
    """
    return load_with_sources(path, options, environment, used=used)[0]


def load_with_sources(
    path: Path | None,
    options: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
    *,
    used: Sequence[str] = ("",),
) -> tuple[Settings, Sources]:
    """Read the settings as ``load`` does; return the sources they came from, too."""
    fields = setting_names()
    environment = without_service_links(environment)
    file = read_file(path)
    secrets, problems = _from_secret_files(environment)
    problems += unknown_in_file(file, path, fields)
    problems += unknown_variables(environment, fields)
    variables = {
        name: environment[variable(name)] for name in fields if variable(name) in environment
    }
    known = {name: value for name, value in flat(file) if name in fields}
    sources = Sources(options, environment, file, path=path)
    try:
        settings = _layered(_nested(options), _nested(variables), secrets, _nested(known))
        problems += [named(text, sources) for text in job_problems(settings, used)]
    except ValidationError as invalid:
        problems += [problem(error, fields, sources) for error in invalid.errors(include_url=False)]
    if problems:
        raise SettingsProblems([*dict.fromkeys(problems)])
    files = _secret_files(environment)
    settings._secret_files = {name: path for name, path in files.items() if name not in options}
    return settings, sources


def warnings(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each setting that is ignored or given in an unsafe way."""
    return remarks(options, environment, setting_names())


def _nested(options: Mapping[str, Any]) -> Nested:
    nested: Nested = {}
    for name, value in options.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    return nested


def _secret_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the file of each secret that has a file, by ``section.name``."""
    return {
        name: environment[f"{variable(name)}_FILE"]
        for name in secret_names()
        if f"{variable(name)}_FILE" in environment
    }


def _read_again(name: str, path: str) -> str:
    problem = "it is empty"
    try:
        if secret := Path(path).read_text("utf-8-sig").strip():
            return secret
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "it is not UTF-8 text"
    raise Misconfigured(
        f"{variable(name)}_FILE: the file that it names cannot be read again: {problem}",
        "Nothing is lost: the bridge resumes from the last stored position",
        "Check the file and its permissions",
        part=_PARTS.get(name.partition(".")[0], "bridge"),
    )


def _from_secret_files(environment: Mapping[str, str]) -> tuple[Nested, list[str]]:
    """Read ``JOB_BRIDGE_..._FILE`` of every secret; return the secrets and the problems."""
    secrets: dict[str, str] = {}
    problems = []
    for name, path in _secret_files(environment).items():
        if variable(name) in environment:
            problems.append(f"{variable(name)} and {variable(name)}_FILE are both set: keep one")
        try:
            secrets[name] = Path(path).read_text("utf-8-sig").strip()
        except (OSError, ValueError) as error:
            problems.append(f"{variable(name)}_FILE: {_unreadable(path, error)}")
    return _nested(secrets), problems


def _unreadable(path: str, error: Exception) -> str:
    """Say why a secret's file cannot be read; ``path`` may be the secret itself."""
    if is_quoted(path):
        return "the path starts and ends with a quote: remove both quotes"
    if isinstance(error, UnicodeDecodeError):
        return "the file is not UTF-8 text"
    reason = getattr(error, "strerror", None) or "it is not a path"
    return (
        f"cannot read the file that it names: {reason} (it is not shown here, because it may be "
        "the secret itself: the variable without _FILE contains a secret)"
    )
