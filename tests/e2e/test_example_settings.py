"""The example settings are complete, true and harmless."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.cli.effective_settings import effective
from bridge.settings import load
from bridge.settings.load import load_with_sources, setting_names
from bridge.settings.names import variable
from tests.support.command import ROOT

EXAMPLE = ROOT / "config" / "job-bridge.example.toml"
#: A line '# text' before a setting explains it; '#name' is a setting that is commented out.
SETTING = re.compile(r"#?([a-z_]+) = (.*)")
UNITS = {"_seconds": "seconds", "_bytes": "bytes", "_per_hour": "hour"}


def shown() -> dict[str, tuple[str, str]]:
    """Every setting of the file: its value as written, and the comment above it."""
    settings: dict[str, tuple[str, str]] = {}
    section, comment = "", ""
    for line in EXAMPLE.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif setting := SETTING.fullmatch(line):
            assert f"{section}.{setting[1]}" not in settings, f"{setting[1]} stands twice"
            settings[f"{section}.{setting[1]}"] = (setting[2], comment)
        comment = f"{comment} {line.removeprefix('# ')}" if line.startswith("# ") else ""
    return settings


def written(default: Any) -> str:
    """A default as the file has it; no value at all is written as an empty text."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    text = "" if default is None else default
    return f'"{text}"' if isinstance(text, str) else str(text)


def test_the_example_contains_exactly_the_settings() -> None:
    assert list(shown()) == list(setting_names())


@pytest.mark.parametrize("name", setting_names())
def test_the_example_shows_the_default(name: str) -> None:
    assert shown()[name][0] == written(setting_names()[name].default)


@pytest.mark.parametrize("name", setting_names())
def test_the_example_explains_each_setting_and_unit(name: str) -> None:
    comment = shown()[name][1]

    assert len(comment.split()) >= 4
    assert all(unit in comment for ending, unit in UNITS.items() if name.endswith(ending))


@pytest.mark.parametrize(
    "name", [name for name, field in setting_names().items() if field.annotation is SecretStr]
)
def test_the_example_shows_files_for_secrets(name: str) -> None:
    assert f"{variable(name)}_FILE=/" in shown()[name][1]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (
            "delivery.window_messages",
            {"delivery.mode": "exactly-once", "checkpoint.store": "kafka"},
        ),
        ("recovery.margin_seconds", {"kafka.read_back": "off"}),
    ],
)
def test_defaults_that_follow_are_stated(name: str, given: dict[str, str]) -> None:
    """The value that another setting decides, in the file and in the description."""
    decided = {
        setting.name: setting.value for setting in effective(*load_with_sources(None, given, {}))
    }

    for text in (shown()[name][1], setting_names()[name].description):
        assert re.findall(r"\d+", text) == [f"{decided[name]:.0f}"], text


def test_each_size_in_mebibytes_is_true() -> None:
    for value, comment in shown().values():
        for mebibytes in re.findall(r"\((\d+) MiB\)", comment):
            assert int(value) == int(mebibytes) * 2**20


def test_the_example_as_it_stands_is_the_defaults() -> None:
    assert load(EXAMPLE, {}, {}) == load(None, {}, {})
