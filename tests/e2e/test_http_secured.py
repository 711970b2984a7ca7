"""A bridge whose pages have TLS and a password, and the command that reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.demo.servers.process import free_port
from tests.support.bridge_process import BridgeProcess
from tests.support.command import SECRET, run_command
from tests.support.servers import certificates

ACCOUNT = ("http.certfile", "http.username", "http.password")


@pytest.fixture
def files(tmp_path: Path) -> certificates.Certificates:
    certificates.required()
    return certificates.Certificates(tmp_path / "certificates", "bridge")


@pytest.fixture
def secured(files: certificates.Certificates) -> dict[str, str]:
    """Settings of a bridge that finds no server."""
    return {
        "mongo.uri": "mongodb://127.0.0.1:1/?replicaSet=rs0",
        "kafka.bootstrap_servers": "127.0.0.1:1",
        "http.port": str(free_port()),
        "http.certfile": files.file("bridge"),
        "http.username": "reader",
        "http.password": SECRET,
        "http.details": "auto",
    }


def test_status_reads_a_secured_bridge(
    secured: dict[str, str], files: certificates.Certificates, tmp_path: Path
) -> None:
    """Also after its certificate was replaced, without a restart."""
    with BridgeProcess(secured, tmp_path / "bridge.log") as bridge:
        line = bridge.wait_for_line("status at https://127.0.0.1:")
        bridge.wait_for_line("MongoDB refuses connections")

        first = run_command("status", settings=secured)
        files.rotate()
        second = run_command("status", settings=secured)
        refused = run_command("status", settings=secured | {"http.password": "another"})

    assert secured["http.port"] in line
    for ended in (first, second):
        assert ended.code == 75 and "MongoDB refuses connections at 127.0.0.1:1" in ended.out
    assert refused.code == 77 and "refuses the user or the password" in refused.error


def test_anonymous_status_shows_no_causes(secured: dict[str, str], tmp_path: Path) -> None:
    """Without TLS and a password: the command works, and says how to see more."""
    opened = {name: text for name, text in secured.items() if name not in ACCOUNT}
    with BridgeProcess(opened, tmp_path / "bridge.log") as bridge:
        bridge.wait_for_line("MongoDB refuses connections")

        ended = run_command("status", settings=opened)

    assert ended.code == 75 and "not ready: MongoDB refuses connections\n" in ended.out
    assert "127.0.0.1:1" not in ended.out and "http.details = on" in ended.out


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("http.certfile", "/nowhere", "http.certfile: cannot read /nowhere"),
        ("http.certfile", __file__, "http.certfile and http.keyfile do not match"),
        ("http.keyfile", "/nowhere", "http.keyfile: cannot read /nowhere"),
        ("http.password", "", "set both"),
        ("http.username", "a:b", "must not contain a colon"),
    ],
)
def test_bad_settings_of_http_are_refused(
    secured: dict[str, str], name: str, value: str, words: str
) -> None:
    ended = run_command("run", settings=secured | {name: value})

    assert ended.code == 78 and words in ended.error
