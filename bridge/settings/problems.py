"""Problems in the settings, each named as its setting was given."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bridge.errors import Misconfigured, one_line
from bridge.hints import Hint
from bridge.settings.names import PREFIX, option, variable

#: Names in the environment that are not settings: the settings file, and the demo's programs.
_OTHER_VARIABLES = tuple(PREFIX + name for name in ("CONFIG", "MONGOD", "TANSU", "SOURCE_COMMIT"))

#: Kubernetes sets these in every container next to a service named job-bridge or job-bridge-*.
_SERVICE_LINK = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*"
    rf"|{PREFIX}(\w+_)?PORT=(tcp|udp|sctp)://.*"
)
_PASSWORD_IN_URI = re.compile(r"(?i)://[^/@]*:[^/]*@|(password|aws_session_token)[=:]")

#: Values that are no secrets in the wrong place: words and numbers, as Python prints them.
_HARMLESS = re.compile(r"[\[\]{}',\w .:+-]{0,60}")

#: The source of a setting that is not given.
DEFAULT = "default"

#: Every setting as ``section.name``, with its pydantic field.
Fields = Mapping[str, Any]


class SettingsProblems(Misconfigured):
    """Problems in the settings; several are printed on a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = [one_line(text) for text in problems]
        super().__init__(
            f"{len(problems)} problem(s) in the settings: " + "; ".join(problems),
            "Nothing was read or sent",
            f"'{Hint.CONFIG_EXAMPLE}' prints every setting",
        )

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return super().__str__()
        first = f"{len(self.problems)} problem(s) in the settings:"
        return "\n  ".join([first, *self.problems]) + f"\n{self.data}. {self.todo}"


class Sources:
    """The sources of the settings, from which a problem takes the name that was given."""

    def __init__(
        self,
        options: Mapping[str, Any],
        environment: Mapping[str, str],
        file: Mapping[str, Any],
        *,
        path: Path | None,
    ) -> None:
        self._options = options
        self._environment = environment
        self._file = file
        self._path = path

    def name(self, setting: str) -> str:
        """Return ``setting`` as it was given: an option, a variable, or a name in the file."""
        source = self.source(setting)
        if source == DEFAULT:
            return setting
        return f"{source}: {setting}" if source == str(self._path) else source

    def source(self, setting: str) -> str:
        """Return the option, variable or file that gives ``setting``, or ``default``."""
        section, _, key = setting.partition(".")
        if setting in self._options:
            return option(setting)
        for given in (variable(setting), f"{variable(setting)}_FILE"):
            if given in self._environment:
                return given
        return str(self._path) if key in self._file.get(section, {}) else DEFAULT


def problem(error: Any, fields: Fields, sources: Sources) -> str:
    """Describe an error of pydantic; the value is left out if it is a secret."""
    setting = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    field = fields.get(setting)
    if field is None:  # A rule about several settings names them itself.
        return named(message, sources)
    shown = repr(error["input"])
    given = (
        f", not {shown}"
        if field.annotation is not SecretStr
        and error["type"] != "value_error"
        and _HARMLESS.fullmatch(shown)
        else ""
    )
    return f"{sources.name(setting)}: {message}{given}"


def named(message: str, sources: Sources) -> str:
    """Return a message in which each setting is named as it was given."""
    return re.sub(r"\b[a-z]+\.[a-z_]+\b", lambda name: sources.name(name[0]), message)


def flat(sections: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return the settings of a file as ``section.name`` with their values."""
    for section, settings in sections.items():
        if isinstance(settings, Mapping):
            for name, value in settings.items():
                yield f"{section}.{name}", value


def unknown_in_file(file: Mapping[str, Any], path: Path | None, fields: Fields) -> list[str]:
    """Return a problem for each name in the file that is not a setting."""
    outside = [
        f"{path}: {name} is outside of a [section]{_nearest(name, fields)}"
        for name, value in file.items()
        if not isinstance(value, Mapping)
    ]
    return outside + [
        f"{path}: {name} is unknown{_nearest(name, fields)}"
        for name, _ in flat(file)
        if name not in fields
    ]


def unknown_variables(environment: Mapping[str, str], fields: Fields) -> list[str]:
    """Return a problem for each of our environment variables that is not a setting."""
    known = {variable(name) for name in fields}
    known |= {
        f"{variable(name)}_FILE" for name, field in fields.items() if field.annotation is SecretStr
    }
    return [
        f"{name} is unknown{_nearest_variable(name.upper(), known)}"
        for name in environment
        # In another case a name would have no effect, so it is a problem too.
        if name.upper().startswith(PREFIX) and name not in known and name not in _OTHER_VARIABLES
    ]


def without_service_links(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that Kubernetes sets for services."""
    return {
        name: value
        for name, value in environment.items()
        if not _SERVICE_LINK.fullmatch(f"{name}={value}")
    }


def remarks(
    options: Mapping[str, Any], environment: Mapping[str, str], fields: Fields
) -> list[str]:
    """Return a warning for each setting that is ignored or given in an unsafe way."""
    ignored = [
        f"{variable(name)} is Kubernetes' variable for a service, not the setting {name}: it is "
        "ignored; 'enableServiceLinks: false' in the pod's specification removes it"
        for name in fields
        if _SERVICE_LINK.fullmatch(f"{variable(name)}={environment.get(variable(name), '')}")
    ]
    uri = "mongo.uri"
    if _PASSWORD_IN_URI.search(str(options.get(uri, ""))):
        ignored.append(
            f"{option(uri)} contains a password, which every user of this machine can read in the "
            f"list of processes: use {variable(uri)} or {variable(uri)}_FILE instead"
        )
    return ignored


def _nearest_variable(name: str, known: Collection[str]) -> str:
    """Of a variable with ``_FILE`` it is the setting itself: only secrets may come from files."""
    setting = name.removesuffix("_FILE")
    return _nearest(setting if setting in known and name not in known else name, known)


def _nearest(name: str, known: Collection[str]) -> str:
    candidates = {candidate.removeprefix(PREFIX): candidate for candidate in known}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), list(candidates), n=1, cutoff=0.5)
    return f" (did you mean {candidates[near[0]]}?)" if near else ""
