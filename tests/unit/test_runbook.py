"""The runbook has a section for each alert and each exit code, and its commands exist."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner

from bridge import errors
from bridge.cli import INTERRUPTED, OUTPUT_CLOSED, main
from bridge.cli.run import run
from bridge.hints import Hint, exit_fields
from tests.support.factories import settings

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "operations" / "runbook.md"
ALERTS = ROOT / "config" / "prometheus" / "alerts.yml"
#: The parts of a section.
PARTS = ["Data", "See", "Do"]


def sections() -> dict[str, str]:
    """Heading and text of each section."""
    parts = re.split(r"^### (.*)$", RUNBOOK.read_text(), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def alerts() -> list[str]:
    return re.findall(r"^      - alert: (\w+)$", ALERTS.read_text(), re.M)


def test_every_alert_names_its_section() -> None:
    commands = re.findall(r"runbook: (.+)", ALERTS.read_text())

    assert commands == [Hint.RUNBOOK.with_value(alert) for alert in alerts()]


def test_alerts_and_sections_are_the_same() -> None:
    """In the same order, so that both files can be read side by side."""
    assert [name for name in sections() if name.startswith("JobBridge")] == alerts()


def test_every_exit_code_has_a_section() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.BridgeError)}
    codes |= {0, INTERRUPTED, OUTPUT_CLOSED}

    documented = [name for name in sections() if name.startswith("Exit code")]
    assert documented == [f"Exit code {code}" for code in sorted(codes)]


def test_a_last_line_names_its_section(caplog: pytest.LogCaptureFixture) -> None:
    """``run`` ends with it."""
    assert run.callback is not None
    with patch("bridge.app.process.Process", side_effect=errors.Fenced("fenced")):
        assert (
            inspect.unwrap(run.callback)(settings=settings(), until=None) == errors.Fenced.exit_code
        )

    (record,) = caplog.records
    assert vars(record)["runbook"] == f"job-bridge config runbook {errors.Fenced.exit_code}"
    assert exit_fields(0) == {"exit_code": 0}


@pytest.mark.parametrize("name", sections())
def test_a_section_is_printed(name: str) -> None:
    """By the name of its alert or the number of its exit code, and without links."""
    section = name.removeprefix("Exit code ")

    done = CliRunner().invoke(main, ["config", "runbook", section], standalone_mode=False)

    heading, *lines = done.output.splitlines()
    assert (heading, len(set(PARTS) & set(re.findall(r"\*\*(\w+):", done.output)))) == (
        f"### {name}",
        len(PARTS),
    )
    assert "](" not in done.output and not [line for line in lines if line.startswith("#")]


def test_an_unknown_section_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "runbook", "jobbridgelagg"])

    assert ended.value.code == errors.Usage.exit_code
    assert "no section 'jobbridgelagg'; the nearest is JobBridgeLag." in capsys.readouterr().err


def test_each_section_has_its_parts() -> None:
    """The meaning for the data, how to see it, what to do."""
    parts = {
        name: re.findall(r"^- \*\*(\w+):\*\*", text, re.M) for name, text in sections().items()
    }

    assert {name: found for name, found in parts.items() if found != PARTS} == {}


def test_every_alert_is_tested() -> None:
    """See ``tests/unit/observability/test_alerts.py``."""
    tests = (ROOT / "tests/unit/observability/test_alerts.py").read_text()
    named = set(re.findall(r'"(?:JobBridge)?(\w+)"', tests))

    assert [alert for alert in alerts() if alert.removeprefix("JobBridge") not in named] == []


def test_every_command_exists() -> None:
    commands = re.findall(r"`job-bridge ([a-z][^`]*)`", RUNBOOK.read_text())

    assert len(commands) > 10
    assert [command for command in commands if not is_command(shlex.split(command))] == []


def is_command(words: list[str]) -> bool:
    command: click.Command = main
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        subcommand = command.get_command(context, words.pop(0))
        if subcommand is None:
            return False
        command = subcommand
    known = {name for parameter in command.get_params(context) for name in parameter.opts}
    return {word for word in words if word.startswith("--")} <= known
