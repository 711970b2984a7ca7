"""The runbook has a section for each alert and each exit code, and its commands exist."""

from __future__ import annotations

import inspect
import os
import re
import shlex
from contextlib import ExitStack
from os.path import normpath
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from bridge import errors
from bridge.cli import INTERRUPTED, OUTPUT_CLOSED, main
from bridge.cli.run import run
from bridge.cli.runbook import section_of
from bridge.hints import Hint, exit_fields
from tests.support.factories import settings

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "operations" / "runbook.md"
ALERTS = ROOT / "config" / "prometheus" / "alerts.yml"
#: What an operator puts in the place of a word.
VALUES = {"TIME": "24h", "ID": "job-1", "CODE": "76", "PARTITION:OFFSET": "0:15"}
#: Where the commands turn to a server, or start to do so.
SERVERS = [
    "bridge.app.job_collection.sample_jobs",
    "bridge.app.preflight.preflight",
    "bridge.app.process.Process",
    "bridge.app.wiring.open_group_store",
    "bridge.app.wiring.open_source_and_store",
    "bridge.app.wiring.open_store",
    "bridge.cli.status.read_status",
    "bridge.kafka.drivers.driver_of",
]
#: Words that refer to another section.
REFERENCE = re.compile(
    r"\b(?:as above|see above|above|below|the same (?:two|three|command|metric|section|steps?)\w*"
    r"|the (?:lower|upper|former|other|previous|next) (?:level|alert|section)|the section)\b",
    re.I,
)
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
    """By the name of its alert or the number of its exit code; links have become paths."""
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


@pytest.mark.parametrize("section", sections())
def test_a_section_is_complete(section: str) -> None:
    """It is printed alone, so it refers to no other section, except by the command for it."""
    assert REFERENCE.findall(" ".join(sections()[section].split())) == []


@pytest.mark.parametrize(
    "text", ["as above", "the same two metrics", "The same command lists", "follow the section of"]
)
def test_a_reference_is_found(text: str) -> None:
    assert REFERENCE.search(text)


@pytest.mark.parametrize("name", sections())
def test_a_printed_link_keeps_its_target(name: str) -> None:
    printed = section_of(name.removeprefix("Exit code "))
    links = re.findall(r"\[([^\]]*)\]\(([^)#]+)", sections()[name])

    paths = dict(re.findall(r"(\w+) \((docs/[^)#]+)", printed))
    assert len(paths) == len(links)
    for words, target in links:
        assert ROOT / paths[words.split()[-1]] == Path(normpath(RUNBOOK.parent / target))


def commands() -> list[str]:
    return sorted(set(re.findall(r"`job-bridge ([a-z][^`]*)`", RUNBOOK.read_text())))


@pytest.fixture
def defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings in the environment, and no file that ``init`` would replace."""
    for name in [name for name in os.environ if name.startswith("JOB_BRIDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("command", commands())
def test_a_command_works_as_printed(command: str) -> None:
    assert accepted(command)


@pytest.mark.usefixtures("defaults")
def test_a_command_that_is_refused_is_found() -> None:
    refused = ["dead-letters retry", "status --group", "token set", "verify --until TIME", "tokens"]

    assert [command for command in refused if accepted(command)] == []


class Reached(BaseException):
    """A command has accepted its arguments, and would ask a server."""


def accepted(command: str) -> bool:
    """Whether a command goes on to its server, or ends with 0 without one."""
    words = [VALUES.get(word, word) for word in shlex.split(command)]
    with ExitStack() as patched:
        for function in SERVERS:
            patched.enter_context(patch(function, side_effect=Reached))
        patched.enter_context(patch("bridge.logs.set_up"))
        try:
            main(words)
        except Reached:
            return True
        except SystemExit as ended:
            return ended.code == 0
    raise AssertionError(f"{command} has not ended")
