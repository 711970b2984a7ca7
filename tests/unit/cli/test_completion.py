"""Completion in the shell, by the protocol of click."""

import pytest

from bridge.cli import COMMANDS, main


class TestCompletion:
    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            (["token", ""], ["clear", "list", "move", "remove", "set", "show"]),
            (["token", "move", ""], ["mongo", "file", "kafka"]),
            (["token", "set", "n"], ["now"]),
            (["run", "--delivery-mode", "b"], ["background-jobs", "background-transitions"]),
            (["run", "--start-from", ""], ["now", "history"]),
            (["run", "--until", ""], ["now"]),
            (["sweep", "--dry"], ["--dry-run"]),
        ],
        ids=" ".join,
    )
    def test_values_are_completed(
        self,
        typed: list[str],
        expected: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert completed(typed, monkeypatch, capsys) == [("plain", value) for value in expected]

    def test_every_command_is_completed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert {value for _, value in completed([""], monkeypatch, capsys)} == set(COMMANDS)

    @pytest.mark.parametrize("option", ["--config", "--checkpoint-file"])
    def test_the_shell_completes_files(
        self, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert completed(["run", option, ""], monkeypatch, capsys) == [("file", "")]

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_each_shell_gets_its_script(
        self, shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
        answer = answered(f"{shell}_source", monkeypatch, capsys)
        assert f"_JOB_BRIDGE_COMPLETE={shell}_complete" in answer


def completed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[tuple[str, ...]]:
    """Return the kinds and values that bash is offered for the last word."""
    monkeypatch.setenv("COMP_WORDS", " ".join(["job-bridge", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    lines = answered("bash_complete", monkeypatch, capsys).splitlines()
    return [tuple(line.split(",", 1)) for line in lines]


def answered(
    instruction: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("_JOB_BRIDGE_COMPLETE", instruction)
    with pytest.raises(SystemExit) as ended:
        main([], prog_name="job-bridge")
    output = capsys.readouterr()
    assert (ended.value.code, output.err) == (0, "")
    return output.out
