"""The text of a settings file, and how it is written: whole or not at all."""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from bridge.errors import Misconfigured, Usage
from bridge.settings.load import Settings, load
from bridge.settings.names import variable
from bridge.settings.problems import flat
from bridge.settings.section import Section

_NOTHING_WRITTEN = "Nothing was written"
#: A user, a password or a token; rather too much is left out than too little.
_SECRET_IN_URI = re.compile(r"(?i)@|password|token")


def settings_text(
    settings: Settings, jobs: Mapping[str, str], *, header: Sequence[str], always: Sequence[str]
) -> str:
    """Return the TOML text of the settings that were given; secrets are left out.

    Args:
        jobs: the settings of the section ``jobs``.
        header: the lines of the comment at the top.
        always: further settings, by ``section.name``; a default is written as a comment.
    """
    lines = [f"# {line}" for line in header]
    for section in Settings.model_fields:
        body = [*_section(settings, section, jobs, always)]
        if body:
            lines += ["", f"[{section}]", *body]
    return "\n".join(lines) + "\n"


def secrets_left_out(settings: Settings) -> dict[str, str]:
    """Return the given secrets, which a settings file does not contain, by ``section.name``."""
    return {
        f"{section}.{name}": value.get_secret_value()
        for section in Settings.model_fields
        for name, value in _given(getattr(settings, section))
        if isinstance(value, SecretStr) and _is_secret(value)
    }


def validated(
    text: str, options: Mapping[str, str], environment: Mapping[str, str] = MappingProxyType({})
) -> Settings:
    """Return the settings that a file with this text gives.

    Args:
        options: settings by ``section.name``, among them the secrets that the text lacks.
        environment: the variables that override the text.

    Raises:
        Misconfigured: the settings contradict each other.
    """
    with tempfile.TemporaryDirectory(prefix="job-bridge-") as folder:
        path = Path(folder) / "settings.toml"
        path.write_text(text, "utf-8")
        try:
            return load(path, options, environment)
        except Misconfigured as error:
            # A person does not know this path.
            what = error.what.replace(f"{path}: ", "")
            raise Misconfigured(what, _NOTHING_WRITTEN, error.todo) from None


def overridden(
    text: str, options: Mapping[str, str], environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence for each setting of the text that the environment overrides.

    Args:
        options: as for :func:`validated`.
    """
    alone = validated(text, options)
    try:
        present = validated(text, options, environment)
    except Misconfigured as error:
        yield f"the file does not work in this environment: {error.what}"
        return
    for name, _ in flat(tomllib.loads(text)):
        section, _, key = name.partition(".")
        values = [dict(_all(getattr(settings, section)))[key] for settings in (alone, present)]
        if values[0] != values[1]:
            is_file = variable(name) not in environment
            yield (
                f"{variable(name)}{'_FILE' * is_file} has another value and overrides {name} of "
                "the file: unset it"
            )


def admit_target(path: Path, *, force: bool) -> None:
    """Refuse a file that exists, unless ``force`` is given, and a folder that does not.

    Raises:
        Usage: the file exists, or is not a file.
        Misconfigured: the folder does not exist.
    """
    if path.is_dir():
        raise Usage(f"{path} is a folder", _NOTHING_WRITTEN, "Name a file in it")
    if os.path.lexists(path) and not force:
        raise _exists(path)
    if not path.parent.is_dir():
        raise Misconfigured(
            f"The folder {path.parent} does not exist", _NOTHING_WRITTEN, "Create it"
        )


def write_settings(path: Path, text: str, *, force: bool) -> None:
    """Write a settings file whole, or not at all.

    Args:
        force: replace a file that exists.

    Raises:
        Usage: the file exists.
        Misconfigured: the folder cannot be written.
    """
    # A reader of a file that is replaced sees the former or the new text.
    written = path.with_name(f".{path.name}.{os.getpid()}") if force else path
    try:
        with written.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                written.unlink()
                raise
        written.replace(path)
    except FileExistsError:
        raise _exists(path) from None
    except PermissionError as error:
        raise Misconfigured(
            f"Cannot write {path}: {error.strerror}",
            _NOTHING_WRITTEN,
            "Choose another folder by --output, or change its permissions",
        ) from None


def _exists(path: Path) -> Usage:
    return Usage(
        f"{path} exists", _NOTHING_WRITTEN, "Name another file by --output, or use --force"
    )


def _section(
    settings: Settings, section: str, jobs: Mapping[str, str], always: Sequence[str]
) -> Iterator[str]:
    if section == "jobs":
        yield from (f"{name} = {_toml(value)}" for name, value in jobs.items())
        return
    model = getattr(settings, section)
    given = dict(_given(model))
    for name, value in _all(model):
        full = f"{section}.{name}"
        if isinstance(value, SecretStr):
            if name in given and _is_secret(value):
                yield f"# {name} is a secret: set {variable(full)} or {variable(full)}_FILE"
            elif name in given or full in always:
                yield f"{name} = {_toml(value.get_secret_value())}"
        elif name in given:
            yield f"{name} = {_toml(value)}"
        elif full in always:
            yield f"#{name} = {_toml(value)}"


def _all(model: Section) -> Iterator[tuple[str, Any]]:
    for name, field in type(model).model_fields.items():
        yield field.alias or name, getattr(model, name)


def _given(model: Section) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a section that were given, by their names in a file."""
    for name, field in type(model).model_fields.items():
        if name in model.model_fields_set:
            yield field.alias or name, getattr(model, name)


def _is_secret(value: SecretStr) -> bool:
    """Whether a value that may contain a secret does: a URI without credentials does not."""
    text = value.get_secret_value()
    return bool(text) and (not text.startswith("mongodb") or bool(_SECRET_IN_URI.search(text)))


def _toml(value: Any) -> str:
    """Return a value as TOML; of the escapes of JSON, TOML lacks surrogates only."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_toml(str(name))} = {_toml(inner)}" for name, inner in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return re.sub("\x7f", r"\\u007f", json.dumps(str(value or ""), ensure_ascii=False))
