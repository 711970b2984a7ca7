"""The end of a command that failed: a line, or a JSON object with ``--json``."""

import errno
import json
from typing import Any

import pytest

from bridge.cli import main
from bridge.cli.check import check
from bridge.errors import RETRIED, BridgeError, Misconfigured, Retryable
from bridge.settings.problems import SettingsProblems

FIELDS = {"error", "what", "meaning", "do", "exit_code", "runbook"}


class FailingCheck:
    """Runs ``check``, which fails with an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def run(self, error: Exception, *options: str) -> tuple[int, str, str]:
        """Return the exit code and both outputs."""

        def fail(**_: Any) -> None:
            raise error

        self._monkeypatch.setattr(check, "callback", fail)
        return self.ended("check", *options)

    def ended(self, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        return int(str(ended.value.code)), *self._capfd.readouterr()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> FailingCheck:
    return FailingCheck(monkeypatch, capfd)


class TestFailures:
    def test_an_error_is_an_object_with_json(self, failing: FailingCheck) -> None:
        error = Misconfigured("It happened", "Nothing was sent", "Do this")
        code, out, err = failing.run(error, "--json")
        assert (code, out) == (78, "")
        assert json.loads(err) == {
            "error": "configuration",
            "what": "It happened",
            "meaning": "Nothing was sent",
            "do": "Do this",
            "exit_code": 78,
            "runbook": "job-bridge config runbook 78",
        }

    def test_an_error_is_a_line_without_json(self, failing: FailingCheck) -> None:
        error = Misconfigured("It happened", "Nothing was sent", "Do this")
        assert failing.run(error) == (
            78,
            "",
            "job-bridge: configuration: It happened. Nothing was sent. Do this. "
            "Exit code 78: 'job-bridge config runbook 78' says more\n",
        )

    def test_an_unusable_line_names_the_runbook(self, failing: FailingCheck) -> None:
        code, _, err = failing.ended("check", "--wrong")
        assert code == 64
        assert err.endswith("\nExit code 64: 'job-bridge config runbook 64' says more\n")

    def test_several_problems_keep_their_lines(self, failing: FailingCheck) -> None:
        error = SettingsProblems(["kafka.topic is wrong", "http.port is wrong"])
        _, _, err = failing.run(error)
        assert err.splitlines()[1:3] == ["  kafka.topic is wrong", "  http.port is wrong"]
        _, _, err = failing.run(error, "--json")
        assert "kafka.topic is wrong; http.port is wrong" in json.loads(err)["what"]

    def test_an_ended_command_retries_nothing(self, failing: FailingCheck) -> None:
        error = Retryable("Kafka is unreachable", "Nothing is lost", RETRIED)
        code, _, err = failing.run(error, "--json")
        document = json.loads(err)
        assert (code, document["error"], document["do"]) == (75, "temporary failure", "Try again")

    @pytest.mark.parametrize(
        "words", [("chek",), ("check", "--wrong"), ("notify",), ("check", "--log-level", "x")]
    )
    def test_usage_errors_are_objects_too(
        self, words: tuple[str, ...], failing: FailingCheck
    ) -> None:
        code, out, err = failing.ended(*words, "--json")
        document = json.loads(err)
        assert (out, document["exit_code"]) == ("", code)
        assert set(document) == FIELDS

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (OSError(errno.ENOSPC, "No space left on device"), 75),
            (KeyError("unexpected"), BridgeError.exit_code),
        ],
        ids=["full disk", "bug"],
    )
    def test_unexpected_ends_are_objects_too(
        self,
        error: Exception,
        expected: int,
        failing: FailingCheck,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("bridge.cli._discard_output", lambda: None)
        code, _, err = failing.run(error, "--json")
        document = json.loads(err.splitlines()[-1])
        assert code == document["exit_code"] == expected
        assert set(document) == FIELDS
