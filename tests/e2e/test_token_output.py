"""``token``: dry runs, JSON and tables, without and with a change of the checkpoint."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import EndedCommand, GivenSettings, run_command
from tests.support.job_writer import JobWriter

TOKEN = "82682C6B1A000000012B042C0100296E5A1004" + "0123456789ABCDEF" * 4


@pytest.fixture
def in_file(settings: GivenSettings, jobs: JobWriter, tmp_path: Path) -> dict[str, str]:
    """The settings with a checkpoint in a file."""
    given = {
        **settings,
        "checkpoint.store": "file",
        "checkpoint.file": str(tmp_path / "checkpoint.json"),
    }
    assert token(given, "set", "now", "--yes").code == 0
    return given


def token(given: GivenSettings, *words: str, answer: str = "") -> EndedCommand:
    return run_command("token", *words, settings=given, answer=answer)


def document(given: GivenSettings, *words: str) -> Any:
    ended = token(given, *words, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def content(given: GivenSettings) -> str:
    return Path(given["checkpoint.file"]).read_text()


class TestTokenOutput:
    @pytest.mark.parametrize("words", [("set", "1h"), ("clear",), ("move", "mongo")])
    def test_a_dry_run_changes_nothing(
        self, words: tuple[str, ...], in_file: GivenSettings
    ) -> None:
        before = content(in_file)

        text = token(in_file, *words, "--dry-run")
        assert text.code == 0, text.err
        assert document(in_file, *words, "--dry-run")["changed"] is False
        assert content(in_file) == before

    @pytest.mark.parametrize("words", [("set", "1h"), ("clear",), ("move", "mongo")])
    def test_a_change_is_described_as_json(
        self, words: tuple[str, ...], in_file: GivenSettings
    ) -> None:
        before = content(in_file)

        assert document(in_file, *words, "--yes")["changed"] is True
        assert content(in_file) != before

    def test_json_asks_no_question(self, in_file: GivenSettings) -> None:
        before = content(in_file)

        ended = token(in_file, "clear", "--json", answer="y\n")

        assert ended.code == 64 and "give --yes or --dry-run" in json.loads(ended.err)["what"]
        assert content(in_file) == before

    def test_a_declined_change_says_so(self, in_file: GivenSettings) -> None:
        ended = token(in_file, "clear", answer="n\n")

        assert (ended.code, ended.err) == (130, "nothing was changed\n")

    def test_log_lines_between_output_are_plain(self, in_file: GivenSettings) -> None:
        """JSON lines are for log stores, unless the settings ask for them."""
        auto = {name: value for name, value in in_file.items() if name != "log.format"}

        plain, as_json = token(auto, "clear", "--yes"), token(in_file, "clear", "--yes")

        assert re.fullmatch(r"\S+ warning the checkpoint was changed by hand\n", plain.err)
        assert json.loads(as_json.err)["message"] == "the checkpoint was changed by hand"

    def test_times_are_in_iso_format(self, in_file: GivenSettings) -> None:
        shown, (listed,) = document(in_file, "show"), document(in_file, "list")

        for text in (
            shown["saved_at"],
            shown["position_time"],
            listed["saved_at"],
            listed["position_time"],
        ):
            assert datetime.fromisoformat(text).tzinfo is not None
        assert listed["name"] == in_file["checkpoint.name"]
        assert f"saved_at          {shown['saved_at']}\n" in token(in_file, "show").out

    def test_positions_have_their_whole_token(self, in_file: GivenSettings) -> None:
        """A token that was printed can be set again."""
        changed = document(in_file, "set", TOKEN, "--yes")
        back = document(in_file, "set", "1h", "--dry-run")
        shown = f"(token {TOKEN})"

        assert shown in changed["new"] and shown in back["old"]
        assert shown in document(in_file, "show")["position"]
        assert shown in document(in_file, "list")[0]["position"]
        assert shown in token(in_file, "list").out and shown in token(in_file, "show").out

    def test_a_loss_is_among_the_warnings(self, in_file: GivenSettings) -> None:
        back = document(in_file, "set", "1h", "--yes")
        forward = document(in_file, "set", "now", "--dry-run")

        assert back["warnings"] == []
        assert forward["warnings"] == [forward["effect"]]
        assert "will not be sent" in forward["effect"] and "warning" not in forward["effect"]

    def test_the_list_has_headers(self, in_file: GivenSettings) -> None:
        headers, row = token(in_file, "list").out.splitlines()

        assert headers.split() == ["NAME", "OWNER", "SAVED", "AT", "POSITION"]
        assert row.index("no owner") == headers.index("OWNER")
