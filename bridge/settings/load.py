"""Reads the settings from all their sources, and reports every problem at once.

In order of strength: defaults, the TOML file, ``JOB_BRIDGE_SECTION_NAME`` in the environment
(a secret also from the file that ``JOB_BRIDGE_SECTION_NAME_FILE`` names), options of the command line.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bridge.errors import Misconfigured
from bridge.settings import schema

PREFIX = "JOB_BRIDGE_"
#: Names in the environment that are no settings: the settings file, and the programs of the demo.
_OTHER = (f"{PREFIX}CONFIG", f"{PREFIX}MONGOD", f"{PREFIX}TANSU")

#: What Kubernetes tells each container of a service called job-bridge, or job-bridge-something.
_SERVICE_LINK = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*|{PREFIX}(\w+_)?PORT=(tcp|udp|sctp)://.*"
)

Nested = dict[str, dict[str, Any]]


class Settings(BaseSettings):
    """All settings, checked."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    mongo: schema.Mongo = schema.Mongo()
    jobs: schema.Jobs = schema.Jobs()
    kafka: schema.Kafka = schema.Kafka()
    delivery: schema.Delivery = schema.Delivery()
    checkpoint: schema.CheckpointSettings = schema.CheckpointSettings()
    start: schema.Start = schema.Start()
    recovery: schema.Recovery = schema.Recovery()
    sweep: schema.Sweep = schema.Sweep()
    verify: schema.Verify = schema.Verify()
    http: schema.Http = schema.Http()
    log: schema.Log = schema.Log()

    @property
    def keeps_no_position(self) -> bool:
        """Whether tags in the jobs say what is still to be sent, so that no place in the stream has to be stored, nor a stream to be there.

        Where the bridge sets the tags, what it does not see would never be tagged: it has to know where it was.
        """
        return self.delivery.mode.startswith("background") and not self.bridge_tags

    @property
    def bridge_tags(self) -> bool:
        """Whether the bridge itself sets the tags."""
        return self.delivery.mode == "background-jobs" and self.sweep.tagged_by == "bridge"

    @model_validator(mode="after")
    def mode_has_what_it_needs(self) -> "Settings":
        """Rules across sections."""
        mode, ee2 = self.delivery.mode, self.jobs.profile == "ee2"
        if mode == "background-jobs" and not self.sweep.job_tag:
            raise ValueError(
                "delivery.mode = background-jobs needs sweep.job_tag, the field of a job that says its state is still to be sent"
            )
        if (
            mode == "background-jobs"
            and self.jobs.profile == "custom"
            and not self.jobs.updated_field
        ):
            raise ValueError(
                "delivery.mode = background-jobs needs jobs.updated_field, to tell how old a tag is"
            )
        if mode == "background-transitions" and (
            ee2 or (self.jobs.profile == "custom" and not self.jobs.transitions_field)
        ):
            raise ValueError(
                "delivery.mode = background-transitions needs jobs with a history: jobs.transitions_field"
            )
        if mode == "background-transitions" and not self.sweep.transition_tag:
            raise ValueError(
                "delivery.mode = background-transitions needs sweep.transition_tag, the field of a transition that is false until it was sent"
            )
        if self.keeps_no_position and self.start.from_ != "now":
            raise ValueError(
                f"start.from = {self.start.from_} has no meaning with delivery.mode = {mode}: the tags say what is to be sent"
            )
        return self


def _layered(*layers: Nested) -> Settings:
    """Merge the layers, the strongest first, and check the whole.

    The layers are read here and not by the library's own sources: its environment source takes
    ``SECTION_NAME_FILE`` for a setting and names of any case, and passes over names it does not know.
    """

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, {**layer}) for layer in layers)

    return Settings.model_construct(**dict(Layered()))


def setting_names() -> dict[str, Any]:
    """Every setting as ``section.name``, with its pydantic field."""
    found = {}
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, schema.Section)
        for name, inner in model.model_fields.items():
            found[f"{section}.{inner.alias or name}"] = inner
    return found


def variable(name: str) -> str:
    """The environment variable of ``section.name``."""
    return PREFIX + name.replace(".", "_").upper()


def option(name: str) -> str:
    """The command line option of ``section.name``."""
    return "--" + name.replace(".", "-").replace("_", "-")


def load(
    path: Path | None, options: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> Settings:
    """Read the settings; ``options`` are those given on the command line, by ``section.name``.

    Raises :class:`Misconfigured` with all problems, each under the name its setting was given by.
    """
    file = _from_file(path)
    secrets, problems = _from_secret_files(environment)
    problems += [*_unknown(file, f"{path}: "), *_unknown_variables(environment)]
    variables = {
        name: environment[variable(name)]
        for name in setting_names()
        if variable(name) in environment
    }
    try:
        settings = _layered(_nested(options), _nested(variables), secrets, _known(file))
    except ValidationError as error:
        source = _Sources(options, environment, file, path)
        problems += [_problem(one, source) for one in error.errors(include_url=False)]
    if problems:
        raise Misconfigured(
            f"{len(problems)} problem(s) in the settings: " + "; ".join(dict.fromkeys(problems)),
            "Nothing was read or sent",
            "config/job-bridge.example.toml shows every setting",
        )
    return settings


def _from_file(path: Path | None) -> Nested:
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise Misconfigured(
            f"Cannot read the settings file {path}: {reason}",
            "Nothing was read or sent",
            "Check the path and its permissions",
        ) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Misconfigured(
            f"The settings file {path} is no TOML: {error}",
            "Nothing was read or sent",
            "Text values need quotes, and each [section] stands once",
        ) from None


def _nested(options: Mapping[str, Any]) -> Nested:
    nested: Nested = {}
    for name, value in options.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    return nested


def _known(nested: Mapping[str, Any]) -> Nested:
    """Only the settings there are: the others are told by name, with the nearest known one."""
    return _nested({name: value for name, value in _flat(nested) if name in setting_names()})


def _flat(nested: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, names in nested.items():
        if isinstance(names, Mapping):
            for name, value in names.items():
                yield f"{section}.{name}", value


def _from_secret_files(environment: Mapping[str, str]) -> tuple[Nested, list[str]]:
    """Read ``JOB_BRIDGE_..._FILE`` of every secret; a file that cannot be read is a problem."""
    read: dict[str, str] = {}
    problems = []
    for name, field in setting_names().items():
        path = environment.get(f"{variable(name)}_FILE")
        if field.annotation is not SecretStr or path is None:
            continue
        if variable(name) in environment:
            problems.append(f"{variable(name)} and {variable(name)}_FILE are both set: keep one")
        try:
            read[name] = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(
                f"{variable(name)}_FILE: cannot read {path}: {getattr(error, 'strerror', 'no text')}"
            )
    return _nested(read), problems


def _unknown(file: Mapping[str, Any], where: str) -> list[str]:
    known = setting_names()
    problems = []
    for section, names in file.items():
        if not isinstance(names, Mapping):
            problems.append(
                f"{where}{section} stands outside of a section{_nearest(section, known)}"
            )
    problems += [
        f"{where}{name} is unknown{_nearest(name, known)}"
        for name, _ in _flat(file)
        if name not in known
    ]
    return problems


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    fields = setting_names()
    known = {variable(name) for name in fields}
    known |= {
        f"{variable(name)}_FILE" for name, field in fields.items() if field.annotation is SecretStr
    }
    # In another case a name is not ours, and would be without effect.
    ours = (name for name in environment if name.upper().startswith(PREFIX))
    found = (
        name
        for name in ours
        if name not in known
        and name not in _OTHER
        and not _SERVICE_LINK.fullmatch(f"{name}={environment[name]}")
    )
    return [f"{name} is unknown{_nearest(name.upper(), known)}" for name in found]


def _nearest(name: str, known: Any) -> str:
    plain = {one.removeprefix(PREFIX): one for one in known}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), list(plain), n=1, cutoff=0.5)
    return f" (did you mean {plain[near[0]]}?)" if near else ""


class _Sources:
    """Knows where each setting came from, so that a problem names it as it was given."""

    def __init__(
        self,
        options: Mapping[str, Any],
        environment: Mapping[str, str],
        file: Nested,
        path: Path | None,
    ) -> None:
        self._options, self._environment, self._file, self._path = options, environment, file, path

    def name(self, setting: str) -> str:
        """``setting`` as it was given: an option, a variable, or a name in the file."""
        section, _, key = setting.partition(".")
        if setting in self._options:
            return option(setting)
        for given in (variable(setting), f"{variable(setting)}_FILE"):
            if given in self._environment:
                return given
        if key in self._file.get(section, {}):
            return f"{self._path}: {setting}"
        return setting


def _problem(error: Any, sources: _Sources) -> str:
    setting = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    field = setting_names().get(setting)
    if field is None:  # a rule about several settings of a section names them itself
        return re.sub(r"\b[a-z]+\.[a-z_]+\b", lambda name: sources.name(name[0]), message)
    given = (
        ""
        if field.annotation is SecretStr or error["type"] == "value_error"
        else f", not {error['input']!r}"
    )
    return f"{sources.name(setting)}: {message}{given}"
