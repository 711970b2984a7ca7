"""An older kafka-python beside a service: the command names the versions that it needs."""

from __future__ import annotations

import subprocess
import sys

from tests.support.command import ROOT

OLD_CLIENT = """
import sys, kafka
sys.modules["kafka.net.compat"] = None  # as before kafka-python 3
"""
COMMAND = """
from bridge.cli import main
main(["check"])
"""
LIBRARY = """
sys.modules["confluent_kafka"] = None
from bridge import Misconfigured, Notifier
try:
    Notifier()
except Misconfigured as error:
    sys.exit(str(error))
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OLD_CLIENT + program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_old_client_is_one_clear_line() -> None:
    ended = run(COMMAND)

    assert ended.returncode == 78, ended.stderr
    assert "the bridge supports kafka-python>=3.0.12,<3.1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_library_advises_a_client_that_fits() -> None:
    """Not another version of kafka-python, which its host may have pinned."""
    ended = run(LIBRARY)

    assert "pip install 'job-bridge[librdkafka]'" in ended.stderr
    assert "pip install 'kafka-python" not in ended.stderr
