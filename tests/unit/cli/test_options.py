"""The help of the commands: choices and defaults from the settings' types."""

import json

import click
import pytest
from click.testing import CliRunner

from bridge.cli import main


def help_of(*words: str) -> str:
    return " ".join(
        CliRunner().invoke(main, [*words, "--help"], standalone_mode=False).output.split()
    )


class TestOptions:
    def test_help_shows_the_choices_of_a_setting(self) -> None:
        assert "--checkpoint-store [mongo|file|kafka]" in help_of("run")

    def test_help_shows_the_default_of_a_setting(self) -> None:
        assert "[default: localhost:9092]" in help_of("run")

    @pytest.mark.parametrize("unused", ["--http-port", "--mongo-uri", "--start-from"])
    def test_help_leaves_out_unused_options(self, unused: str) -> None:
        assert unused not in help_of("topics", "create")
        assert unused in help_of("run")

    @pytest.mark.parametrize(
        ("command", "used", "unused"),
        [
            ("tail", "--mongo-uri --jobs-profile --http-port", "--kafka-topic --checkpoint-store"),
            ("tail", "--insecure", "--delivery-mode --start-from --recovery-on-history-lost"),
            ("check", "--kafka-topic --checkpoint-file --start-from", "--kafka-headers"),
            ("check", "--recovery-on-history-lost --http-port", "--checkpoint-interval-seconds"),
        ],
    )
    def test_help_shows_the_used_options(self, command: str, used: str, unused: str) -> None:
        text = help_of(command)
        assert [name for name in used.split() if name not in text] == []
        assert [name for name in unused.split() if name in text] == []

    def test_help_counts_late_transitions_from_their_commit(self) -> None:
        """As ``tests/unit/verification/test_late.py`` tests it."""
        assert "within a second after their commit (ce_committed)" in help_of("verify")

    @pytest.mark.parametrize("group", [(), ("config",), ("dead-letters",), ("token",), ("topics",)])
    def test_help_cuts_no_summary(self, group: tuple[str, ...]) -> None:
        text = CliRunner().invoke(main, [*group, "--help"], standalone_mode=False).output
        commands = text.partition("Commands:")[2].splitlines()
        assert len(commands) > 1 and [line for line in commands if line.endswith("...")] == []

    def test_shell_completes_the_values_of_a_setting(self) -> None:
        command = main.get_command(click.Context(main), "run")
        assert command is not None
        option = next(part for part in command.params if part.name == "checkpoint_store")
        items = option.shell_complete(click.Context(command), "m")
        assert [item.value for item in items] == ["mongo"]

    def test_an_option_before_the_command_is_explained(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["--json", "status"])
        assert ended.value.code == 64
        what = json.loads(capsys.readouterr().err)["what"]
        assert what.endswith("Options follow the command: job-bridge COMMAND --json")
        assert "--version" not in what

    @pytest.mark.parametrize(
        ("typed", "nearest"), [(["chek"], "check"), (["token", "shw"], "show")]
    )
    def test_a_mistyped_command_names_the_nearest(
        self, typed: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main(typed)
        assert f"Did you mean '{nearest}'?" in capsys.readouterr().err
