"""The rules on the fields of the jobs, which hold only in commands that use them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bridge.cli import INTERRUPTED, main
from bridge.cli.settings import COMMON, KAFKA
from bridge.errors import Misconfigured
from bridge.settings import load

EVERYTHING = ("",)
INCOMPLETE = {"jobs.profile": "custom"}
TAGS = {"delivery.mode": "background-transitions"}


@pytest.mark.parametrize("used", [KAFKA, COMMON, ("mongo.", "jobs.profile", "kafka.topic")])
@pytest.mark.parametrize(
    "options",
    [{"kafka.topic": "kbase.jobs"}, INCOMPLETE, {**INCOMPLETE, **TAGS}],
    ids=["topic", "incomplete", "history"],
)
def test_unused_fields_are_no_problem(options: dict[str, Any], used: tuple[str, ...]) -> None:
    with pytest.raises(Misconfigured):
        load(None, options, {}, used=EVERYTHING)

    assert load(None, options, {}, used=used)


def test_an_unused_topic_is_no_problem() -> None:
    used = ("mongo.", "jobs.")

    assert load(None, {"kafka.topic": "kbase.jobs"}, {}, used=used)
    with pytest.raises(Misconfigured, match=r"needs jobs\.id_field"):
        load(None, INCOMPLETE, {}, used=used)


def test_all_problems_of_the_fields_are_reported() -> None:
    with pytest.raises(Misconfigured) as error:
        load(None, INCOMPLETE | TAGS, {}, used=EVERYTHING)

    assert "--jobs-profile = custom needs jobs.id_field" in error.value.what
    assert "--delivery-mode = background-transitions needs jobs with a history" in error.value.what


def refused(words: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a command ends with these settings before it does anything."""

    def read(path: Path | None, given: dict[str, Any], *, used: Sequence[str] = ("",)) -> None:
        load(path, given | options, {}, used=used)
        raise click.Abort

    monkeypatch.setattr("bridge.cli.settings.load", read)
    ended = CliRunner().invoke(main, words.split(), standalone_mode=False)
    assert ended.exit_code in (Misconfigured.exit_code, INTERRUPTED)
    return ended.exit_code == Misconfigured.exit_code


@pytest.mark.parametrize(
    "words",
    [
        *("init", "topics create", "status", "dead-letters list", "dead-letters show dlq:0:1"),
        *("token list", "token show", "token move file", "token remove name"),
    ],
)
def test_commands_without_the_fields_accept_them(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not refused(words, {"kafka.topic": "kbase.jobs"}, monkeypatch)
    assert not refused(words, INCOMPLETE, monkeypatch)


@pytest.mark.parametrize(
    "words",
    ["run", "check", "verify", "replay", "sweep", "notify job", "token clear"],
)
def test_commands_with_the_fields_refuse_them(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(words, {"kafka.topic": "kbase.jobs"}, monkeypatch)
    assert refused(words, INCOMPLETE, monkeypatch)


def test_a_reader_of_mongodb_accepts_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not refused("tail", {"kafka.topic": "kbase.jobs"}, monkeypatch)
    assert refused("tail", INCOMPLETE, monkeypatch)
