"""The command that sends a job's latest transition: its output without sending."""

import json

import pytest
from click.testing import CliRunner

from bridge.cli import notify as command
from bridge.model.transition import Transition

JOB = Transition("j1", "complete", "2026-03-02T18:00:00+00:00", "t1")


class NeverSent(Exception):
    """The command sent the transition."""


@pytest.fixture(autouse=True)
def job(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NeverSent

    monkeypatch.setattr(command, "_latest_transition", lambda *_: JOB)
    monkeypatch.setattr(command, "_send", refuse)


class TestNotifyOutput:
    def test_dry_run_sends_nothing(self) -> None:
        result = CliRunner().invoke(command.notify, ["j1", "--dry-run"], standalone_mode=False)
        assert result.exception is None
        assert json.loads(result.stdout)["trans_id"] == "t1"

    def test_without_it_the_transition_is_sent(self) -> None:
        result = CliRunner().invoke(command.notify, ["j1"], standalone_mode=False)
        assert isinstance(result.exception, NeverSent)

    def test_json_says_whether_it_was_sent(self) -> None:
        result = CliRunner().invoke(command.notify, ["j1", "--dry-run", "--json"])
        document = json.loads(result.stdout)
        assert document["sent"] is False
        assert document["message"]["job_id"] == "j1"
