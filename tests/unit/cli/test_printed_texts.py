"""Texts of documents on a terminal, which obeys some characters: they are escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.app.finding import Finding
from bridge.cli import main
from bridge.cli.check import print_findings
from bridge.cli.output import print_table
from bridge.cli.token_change import _Change
from bridge.cli.token_effect import UNKNOWN
from bridge.model.checkpoint_entry import CheckpointEntry
from tests.support.factories import checkpoint, transition

HOSTILE = "a\x07\x1b]0;x\r\nb"
ESCAPED = r"a\x07\x1b]0;x b"


@contextmanager
def source_and_store(*_: object) -> Iterator[Any]:
    """A store with a checkpoint after a transition of a hostile job, and a damaged one."""
    delivered = transition(1)._replace(job_id=HOSTILE, state=HOSTILE)
    yield (
        None,
        SimpleNamespace(
            load=lambda: replace(checkpoint(1), delivered=delivered),
            entries=lambda: [CheckpointEntry(HOSTILE, None, HOSTILE, "damaged")],
        ),
    )


def token(command: str) -> None:
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr("bridge.app.wiring.open_source_and_store", source_and_store)
        patched.setattr("bridge.logs.set_up", lambda *_, **__: None)
        main(["token", command])


@pytest.mark.parametrize(
    ("print_text", "count"),
    [
        (lambda: print_table(("JOB",), [(HOSTILE,)]), 1),
        (lambda: print_findings([Finding("warning", "jobs", HOSTILE, HOSTILE)]), 2),
        (lambda: _Change("name", None, "", None, [HOSTILE], UNKNOWN).announce(), 1),
        (lambda: token("list"), 3),
        (lambda: token("show"), 2),
    ],
    ids=["table", "check", "token set", "token list", "token show"],
)
def test_unprintable_characters_are_escaped(
    print_text: Callable[[], None], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    print_text()

    text = capsys.readouterr().out
    assert text.replace("\n", "").isprintable()
    assert text.count(ESCAPED) == count
