"""Standard streams and arguments: full, closed, or in another encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.command import ROOT, GivenSettings, assert_clean, environment

BRIDGE = (sys.executable, "-m", "bridge")
WRONG = "--kafka-topic=日本語"


def ended(
    line: str, *arguments: str | bytes, settings: GivenSettings | None = None
) -> subprocess.CompletedProcess[str]:
    """``line`` of a shell, in which ``"$@"`` is the bridge with ``arguments``."""
    done = subprocess.run(
        ["sh", "-c", line, "sh", *BRIDGE, *arguments],
        env=environment(settings or {}),
        text=True,
        capture_output=True,
        timeout=120,
        cwd=ROOT,
        check=False,
    )
    assert_clean(done.stdout + done.stderr)
    return done


def test_a_full_disk_is_said_in_one_line() -> None:
    done = ended('"$@" > /dev/full', "--help")

    assert done.returncode == 75
    assert done.stderr.splitlines() == [
        "job-bridge: cannot write the output: No space left on device. "
        "Completed work stays done; the rest of the output is missing. "
        "Exit code 75: 'job-bridge config runbook 75' says more"
    ]


def test_a_full_disk_is_said_in_json() -> None:
    done = ended(
        '"$@" > /dev/full',
        *("config", "show", "--json"),
    )

    assert done.returncode == 75
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["what"] == "No space left on device"


def test_a_closed_pipe_ends_it_silently() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed_pipe:
        done = subprocess.run(
            [*BRIDGE, "config", "show", "--json"],
            env=environment({}),
            text=True,
            stdout=closed_pipe,
            stderr=subprocess.PIPE,
            timeout=120,
            cwd=ROOT,
            check=False,
        )

    assert (done.returncode, done.stderr) == (141, "")


def test_closed_streams_are_no_matter() -> None:
    assert ended('"$@" 2>&-', "run", WRONG).returncode == 78
    assert ended('"$@" >&-', "run", WRONG).returncode == 78


def test_unencodable_output_is_escaped() -> None:
    done = ended('"$@"', "run", WRONG, settings={"PYTHONIOENCODING": "latin-1"})

    assert done.returncode == 78
    assert r"Illegal character '\u65e5'" in done.stderr


def test_an_argument_that_is_no_text_is_refused() -> None:
    done = ended('"$@"', "notify", os.fsencode("job-") + b"\xff")

    assert done.returncode == 64
    assert done.stderr == (
        "job-bridge: usage: 'job-\\udcff' is not valid text in this locale's encoding (utf-8). "
        "Nothing was read or sent. "
        "Use UTF-8, in a locale that supports it. "
        "Exit code 64: 'job-bridge config runbook 64' says more\n"
    )


def test_settings_too_deep_to_be_read_are_refused(tmp_path: Path) -> None:
    deep = tmp_path / "deep.toml"
    deep.write_text("a = " + 5000 * "[")

    done = ended('"$@"', "run", f"--config={deep}")

    assert done.returncode == 78
    assert f"The settings file {deep} is not valid TOML" in done.stderr
