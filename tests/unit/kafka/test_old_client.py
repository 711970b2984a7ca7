"""An older kafka-python beside a service: the command names the versions that it needs."""

from __future__ import annotations

import subprocess
import sys

from tests.support.command import ROOT

PROGRAM = """
import sys, kafka
sys.modules["kafka.net.compat"] = None  # as before kafka-python 3
from bridge.cli import main
main(["check"])
"""


def test_an_old_client_is_one_clear_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 78, ended.stderr
    assert "the bridge supports kafka-python>=3.0.12,<3.1" in ended.stderr
    assert "Traceback" not in ended.stderr
