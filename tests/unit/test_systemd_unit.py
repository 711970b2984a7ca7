"""The systemd unit agrees with the exit codes and the deadlines of the bridge."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

from bridge import errors
from bridge.app.wait_reporter import CLOSING_SECONDS
from bridge.settings import load

UNIT = Path(__file__).parents[2] / "config" / "systemd" / "job-bridge@.service"
#: A restart may help: a bug, a temporary failure, and another owner, whose standby it becomes.
RESTARTED = {70, 75, 76}
#: ``run`` does not end with these: the selection of another command is empty.
OTHER_COMMANDS = {66}


def service() -> dict[str, str]:
    """The section [Service]; of a name that stands twice the last value."""
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    return dict(unit["Service"])


def test_only_useful_restarts_happen() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.BridgeError)}
    prevented = {int(code) for code in service()["RestartPreventExitStatus"].split()}

    assert prevented == codes - RESTARTED - OTHER_COMMANDS
    assert service()["Restart"] == "always"


def test_a_stop_has_the_time_it_needs() -> None:
    needed = load(None, {}, {}).delivery.drain_seconds + CLOSING_SECONDS

    assert int(service()["TimeoutStopSec"]) >= needed


def test_the_unit_uses_the_notifications() -> None:
    assert service()["Type"] == "notify" and service()["NotifyAccess"] == "main"
    assert int(service()["WatchdogSec"]) > 0
