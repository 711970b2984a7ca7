"""Where the demo's servers are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.demo.servers.process import find_program
from bridge.errors import Misconfigured


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a file that is no program"])
def test_a_wrong_program_path_is_a_configuration_error(
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


def test_a_missing_program_is_named_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Misconfigured, match=r"There is no server.*name one in SOME_SERVER"):
        find_program("server", "SOME_SERVER", "nothing/bin", tmp_path)


def test_a_program_without_the_executable_bit_works(
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
