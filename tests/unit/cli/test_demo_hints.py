"""The hints that the demo prints for a second terminal."""

import sys
from pathlib import Path

import pytest

from bridge.demo.second_terminal import try_it


class TestDemoHints:
    def test_settings_can_be_pasted_into_a_shell(self) -> None:
        text = try_it({"MONGO_URI": "mongodb://127.0.0.1:1/?replicaSet=a&w=1"})
        assert "  export JOB_BRIDGE_MONGO_URI='mongodb://127.0.0.1:1/?replicaSet=a&w=1'" in text
        assert "job-bridge status" in text

    def test_a_command_off_the_path_is_added(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after ``make run``, which installs into a folder of its own."""
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        monkeypatch.setenv("PATH", "/nowhere")
        assert "PATH" not in try_it({})
        (tmp_path / "job-bridge").touch(0o755)
        assert f'  export PATH={tmp_path}:"$PATH"' in try_it({})
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "PATH" not in try_it({})
