"""Where the demo's servers are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.demo.servers.process import find_program
from bridge.errors import Misconfigured


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a file that is no program"])
def test_a_program_that_is_named_and_not_there_is_a_setting_to_correct(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    if kind == "a folder":
        named.mkdir()
    elif kind == "a file that is no program":
        named.touch(0o644)
    monkeypatch.setenv("SOME_SERVER", str(named))

    with pytest.raises(Misconfigured, match=f"SOME_SERVER names {named}, which is not a program"):
        find_program("server", "SOME_SERVER", "nothing/bin", tmp_path)


def test_a_program_that_no_package_and_no_path_has_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Misconfigured, match=r"There is no server.*name one in SOME_SERVER"):
        find_program("server", "SOME_SERVER", "nothing/bin", tmp_path)


def test_a_package_that_lost_the_run_bit_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "some_package" / "bin" / "server"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    (tmp_path / "some_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("SOME_SERVER", raising=False)

    assert find_program("server", "SOME_SERVER", "some_package/bin", tmp_path) == program
    assert program.stat().st_mode & 0o111
