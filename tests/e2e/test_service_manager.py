"""A bridge under a service manager: a socket receives what systemd would."""

from __future__ import annotations

import socket
from pathlib import Path

from bridge.demo.servers.process import free_port
from tests.support.bridge_process import BridgeProcess


def test_a_bridge_that_retries_is_started(tmp_path: Path) -> None:
    """Its servers are missing: it reports that, gives life signs, and ends with the stop."""
    address = tmp_path / "notify"
    settings = {
        "mongo.uri": f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=500",
        "kafka.bootstrap_servers": f"127.0.0.1:{free_port()}",
        "NOTIFY_SOCKET": str(address),
        "WATCHDOG_USEC": "300000",
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(60)
        with BridgeProcess(settings, tmp_path / "bridge.log") as bridge:
            received = received_until(systemd, "READY=1")
            assert "WATCHDOG=1" in received
            assert any(line.startswith("STATUS=starting") for line in received)
            later = received_until(systemd, "WATCHDOG=1")
            assert any(line.startswith("STATUS=waiting: ") for line in later)
            assert bridge.stop() == 0
        assert "STOPPING=1" in received_until(systemd, "STOPPING=1")


def received_until(systemd: socket.socket, last: str) -> list[str]:
    """Receive messages up to ``last``; fails if none arrives for a minute."""
    received: list[str] = []
    while last not in received:
        received.append(systemd.recv(4096).decode())
    return received
